"""Streams: networks that keep a state from call to call, from ONNX to checked C."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx_models import model, node, save
from torch import nn

import mcuq
from mcuq.config import parse
from mcuq.errors import McuqError
from mcuq.fixed import DTYPES
from mcuq.ir import fed, shown, state_ports
from mcuq.measure.rehearsal import rehearse
from mcuq.model import bundle
from mcuq.sequences import run_integer, run_real

STEPS = 60


class Filtered(nn.Module):
    """A convolution over kept rows, and a mean that forgets."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv1d(4, 6, 3), nn.Linear(6, 3)

    def forward(
        self, x: torch.Tensor, cache: torch.Tensor, mean: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        rows = torch.cat([cache, x], 2)
        y = torch.relu(self.conv(rows))[:, :, -1]
        mean = 0.9 * mean + 0.1 * y
        return self.linear(mean), rows[:, :, -2:], mean


def exported(folder: Path) -> Path:
    """The module as an ONNX file whose states are inputs and outputs."""
    torch.manual_seed(0)
    weights = {name: value.detach().numpy() for name, value in Filtered().named_parameters()}
    last = {"axes": np.array([2]), "to": np.array([3])}
    steps = [
        node("Concat", "cache x", "rows", axis=2),
        node("Conv", "rows conv.weight conv.bias", "z"),
        node("Relu", "z", "kept"),
        node("Squeeze", "kept axes", "row"),
        node("Mul", "mean old", "faded"),
        node("Mul", "row new", "added"),
        node("Add", "faded added", "mean_out"),
        node("Gemm", "mean_out linear.weight linear.bias", "y", transB=1),
        node("Slice", "rows one to axes", "cache_out"),
    ]
    constants = {**weights, **last, "one": np.array([1]), "old": np.float32(0.9)}
    return save(
        model(
            steps,
            {**constants, "new": np.float32(0.1)},
            {"x": (1, 4, 1), "cache": (1, 4, 2), "mean": (1, 6)},
            "y cache_out mean_out",
        ),
        folder,
        "filtered.onnx",
    )


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(STEPS, 4, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory, rows: np.ndarray) -> mcuq.Model:
    path = exported(tmp_path_factory.mktemp("filtered"))
    config = parse({"state": {"mean": "mean_out"}}, "test")
    return mcuq.compile(path, None, rows, config=config, effort="fast")


def test_states_are_no_buffers_of_the_caller(filtered: mcuq.Model) -> None:
    graph = filtered.compiled.program.qgraph
    assert [port.name for port in fed(graph)] == ["x"]
    assert [port.name for port in shown(graph)] == ["y"]
    assert [state.read for state, _, _ in state_ports(graph)] == ["cache", "mean"]
    kinds = {read.name: graph.tensors[read.tensor].kind for _, read, _ in state_ports(graph)}
    assert kinds == {"cache": "s8", "mean": "s16"}  # the mean is made of itself


def test_the_header_says_what_is_kept(filtered: mcuq.Model) -> None:
    header = filtered.files["filtered.h"]
    for name, value in (("STATE_LEN", 20), ("STEP_FRAMES", 1), ("WARMUP_STEPS", 0)):
        assert f"#define FILTERED_{name} {value}\n" in header
    assert "void filtered_reset(int8_t state[FILTERED_STATE_LEN]);" in header
    assert "filtered_run" not in "".join(filtered.files.values())


def test_every_tensor_and_state_is_exact(filtered: mcuq.Model) -> None:
    verdicts = filtered.check(["cortex-m4"], vectors=8)
    assert [v.exact for v in verdicts] == [True, True]
    assert verdicts[0].vectors > 2 * 8


def test_a_wrong_state_is_seen(filtered: mcuq.Model) -> None:
    """The reset of the C begins with other bytes than the reference."""
    files = dict(filtered.files)
    code = files["filtered.c"]
    files["filtered.c"] = code.replace("memset(state + 0, ", "memset(state + 0, 1 + ")
    (host,) = mcuq.api.Model(replace(filtered.compiled, files=files)).check([], vectors=4)
    assert not host.exact


def test_a_rehearsal_repeats_what_it_restores(filtered: mcuq.Model) -> None:
    """The second half of the first stream, on the other state from the snapshot, is the same."""
    compiled = filtered.compiled
    made = rehearse(compiled.bundle, compiled.program.qgraph, 10, 0)
    output = made.values[shown(compiled.program.qgraph)[0].tensor]
    first, again = output[:20:2][5:], output[20:25]
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(output[:8:2], output[25:29])
    assert made.blocks[24] == made.blocks[18]


def test_explanations_take_the_steps_of_a_stream(filtered: mcuq.Model, rows: np.ndarray) -> None:
    assert filtered.explain(rows).facts.rows == 32


def test_bundles_keep_the_stream(filtered: mcuq.Model, tmp_path: Path) -> None:
    filtered.write(tmp_path / "out")
    loaded = bundle.load(tmp_path / "out")
    assert bundle.dump(loaded) == bundle.dump(filtered.compiled.bundle)
    assert loaded.qgraph.stream is not None
    assert mcuq.load(tmp_path / "out").files == filtered.files


def test_run_gives_the_steps_of_the_reference(filtered: mcuq.Model, rows: np.ndarray) -> None:
    """Two sequences, each from a reset, in emulation and by ``run_int``."""
    graph = filtered.compiled.program.qgraph
    sequences = rows[:24].reshape(2, 12, 4, 1)
    found = filtered.run("cortex-m4", sequences)["y"]
    port = shown(graph)[0]
    feeds = {"x": sequences.reshape(2, 12, *graph.tensors[fed(graph)[0].tensor].shape[1:])}
    wanted = run_integer(graph, feeds, {port.tensor})[port.tensor]
    assert wanted.dtype == DTYPES[port.kind]
    np.testing.assert_array_equal(
        found, (wanted.astype(np.float64) - port.offset[0]) * port.scale[0]
    )


def test_float_streams_follow_torch(filtered: mcuq.Model, rows: np.ndarray) -> None:
    torch.manual_seed(0)
    module, graph = Filtered().eval(), filtered.compiled.bundle.graph
    cache, mean, wanted = torch.zeros(1, 4, 2), torch.zeros(1, 6), []
    for row in rows:
        with torch.no_grad():
            y, cache, mean = module(torch.from_numpy(row[None]), cache, mean)
        wanted.append(y[0].numpy())
    port = shown(graph)[0]
    shape = graph.shape(fed(graph)[0].tensor)[1:]
    found = run_real(graph, {"x": rows.reshape(1, STEPS, *shape)}, {port.tensor})[port.tensor]
    np.testing.assert_allclose(found, np.stack(wanted), atol=1e-5)


def test_evaluation_runs_both_networks_from_their_own_states(
    filtered: mcuq.Model, rows: np.ndarray
) -> None:
    result = filtered.evaluate(rows)
    assert result.samples == STEPS
    assert [output.name for output in result.outputs] == ["y"]
    assert result.sqnr_db > 25


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"mean": "y"}, "its shape (1, 6) is not that of output 'y', (1, 3)"),
        ({"men": "mean_out"}, "state 'men': is no input"),
        ({"mean": "mean_uot"}, "'mean_uot' is no output"),
        ({"mean": 3}, "state.mean is not the name of an output"),
    ],
)
def test_states_that_do_not_pair_are_refused(
    tmp_path: Path, rows: np.ndarray, table: dict[str, object], sentence: str
) -> None:
    path = exported(tmp_path)
    with pytest.raises(McuqError) as caught:
        mcuq.compile(path, None, rows, config=parse({"state": table}, "c.toml"))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
