"""Recurrent layers of a window network whose frames come one by one: their states go on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import mcuq
from mcuq.errors import McuqError
from mcuq.importers import from_torch
from mcuq.ir import Array, Graph, fed, shown, state_ports, to_memory
from mcuq.passes import pipeline
from mcuq.sequences import run_real
from mcuq.stream.convert import Carried, carried, wish_of
from mcuq.targets.cores import CHECKED

CHANNELS, UNITS, WINDOW, FRAMES = 5, 8, 12, 24


class Listening(nn.Module):
    """(N, CHANNELS, T): a convolution, recurrent layers over its rows, scores of the last state."""

    def __init__(self, cell: type[nn.RNNBase], front: int = 2, layers: int = 1, **more: bool):
        super().__init__()
        self.front = front
        self.conv = nn.Conv1d(CHANNELS, 6, 3)
        self.cell = cell(6, UNITS, num_layers=layers, batch_first=True, **more)
        self.head = nn.Linear(UNITS * (2 if more.get("bidirectional") else 1), 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = torch.relu(self.conv(functional.pad(x, (self.front, 0))))
        scores: torch.Tensor = self.head(self.cell(rows.transpose(1, 2))[0][:, -1])
        return scores


def network(cell: type[nn.RNNBase], **more: int) -> Listening:
    torch.manual_seed(0)
    return Listening(cell, **more).eval()


def streamed(module: nn.Module, frames: int) -> tuple[Carried, Graph]:
    """The stream in float, as made and after all passes."""
    whole = pipeline.run(from_torch(module, torch.zeros(1, CHANNELS, WINDOW)))
    made = carried(whole, wish_of(f"frames={frames}"))
    assert made is not None
    return made, pipeline.run(made.graph)


def outputs(graph: Graph, x: Array, frames: int) -> Array:
    """(T / frames, 4): the output of each step from a reset on; ``x``: (1, CHANNELS, T)."""
    port, out = fed(graph)[0], shown(graph)[0]
    steps = np.stack(np.split(x, x.shape[2] // frames, 2), 1)[0]
    rows = to_memory(port, graph.shape(port.tensor), steps)
    found: Array = run_real(graph, {port.name: rows[None]}, {out.tensor})[out.tensor]
    return found


@pytest.fixture(scope="module")
def sound() -> Array:
    return np.random.default_rng(0).normal(size=(1, CHANNELS, FRAMES)).astype(np.float32)


@pytest.mark.parametrize(("cell", "frames", "layers"), [(nn.GRU, 1, 2), (nn.LSTM, 3, 1)])
def test_a_stream_is_the_network_over_all_frames_since_the_reset(
    cell: type[nn.RNNBase], frames: int, layers: int, sound: Array
) -> None:
    module = network(cell, layers=layers)
    made, graph = streamed(module, frames)
    assert made.whole == WINDOW // frames
    found = outputs(graph, sound, frames)
    for step in (0, 3, FRAMES // frames - 1):
        with torch.no_grad():
            wanted = module(torch.from_numpy(sound[:, :, : (step + 1) * frames])).numpy()
        np.testing.assert_allclose(found[step : step + 1], wanted, atol=1e-6)


class LastOfAll(Listening):
    """The same from h_n, where the last states of all layers lie in one tensor."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = torch.relu(self.conv(functional.pad(x, (self.front, 0))))
        scores: torch.Tensor = self.head(self.cell(rows.transpose(1, 2))[1][-1])
        return scores


def test_the_last_state_of_two_layers_is_taken_from_h_n(sound: Array) -> None:
    torch.manual_seed(0)
    module = LastOfAll(nn.GRU, layers=2).eval()
    made, graph = streamed(module, 1)
    assert made.whole == WINDOW
    assert "concat" not in {node.op for node in graph.nodes}
    with torch.no_grad():
        wanted = module(torch.from_numpy(sound)).numpy()
    np.testing.assert_allclose(outputs(graph, sound, 1)[-1:], wanted, atol=1e-6)


def test_without_padding_zeros_lie_before_the_first_frame(sound: Array) -> None:
    """As though the convolution were padded in front; it says so, and waits for its first row."""
    module, padded = network(nn.GRU, front=0), network(nn.GRU)
    made, graph = streamed(module, 1)
    assert made.whole is None
    assert "zeros before it" in made.equals
    assert graph.stream is not None
    assert graph.stream.warmup == 2
    with torch.no_grad():
        wanted = padded(torch.from_numpy(sound)).numpy()
    np.testing.assert_allclose(outputs(graph, sound, 1)[-1:], wanted, atol=1e-6)


def test_a_recurrent_stream_is_exact_on_every_core(sound: Array) -> None:
    """Recordings longer than the window calibrate it; its states have 16 bits."""
    recordings = np.random.default_rng(1).normal(size=(8, CHANNELS, 60)).astype(np.float32)
    made = mcuq.compile(
        network(nn.LSTM), torch.from_numpy(sound[:, :, :WINDOW]), recordings,
        effort="fast", stream="frames=2",
    )  # fmt: skip
    graph = made.compiled.program.qgraph
    kinds = [graph.tensors[port.tensor].kind for _, port, _ in state_ports(graph)]
    assert kinds == ["s8", "s16", "s16"]
    assert any("go on from step to step" in line for line in made.advice)
    assert [v.outcome for v in made.check(CHECKED, vectors=4)] == ["exact"] * (1 + len(CHECKED))
    assert made.evaluate(recordings[:2]).sqnr_db > 30


@pytest.mark.parametrize(
    ("more", "stream", "reason"),
    [
        ({"bidirectional": True}, "frames=1", "runs backwards, from frames that a stream does not"),
        ({"layers": 1}, "frames=40", "a step of 40 frames is no part of a window of 12"),
    ],
)
def test_what_a_recurrent_stream_cannot_be(
    more: dict[str, int], stream: str, reason: str, sound: Array
) -> None:
    example, rows = torch.from_numpy(sound[:, :, :WINDOW]), np.repeat(sound[:, :, :WINDOW], 8, 0)
    with pytest.raises(McuqError, match=reason):
        mcuq.compile(network(nn.GRU, **more), example, rows, stream=stream)


def test_more_steps_than_are_written_out_are_refused() -> None:
    graph = pipeline.run(from_torch(network(nn.GRU), torch.zeros(1, CHANNELS, 80)))
    with pytest.raises(McuqError, match=r"over 40 steps .* Give fewer frames a step"):
        carried(graph, wish_of("frames=40"))
