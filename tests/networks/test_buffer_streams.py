"""PyTorch modules that change their buffers are streams, with the buffers as states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import mcuq
from mcuq.errors import McuqError
from mcuq.flows.compile import compile_model
from mcuq.importers import torch_program

STEPS = 60


class Filtered(nn.Module):
    """Rows that are moved on, and a mean that forgets and begins at 0.1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv1d(4, 6, 3), nn.Linear(6, 3)
        self.register_buffer("rows", torch.zeros(1, 4, 2))
        self.register_buffer("mean", torch.full((1, 6), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.cat([self.rows, x], 2)
        self.rows.copy_(rows[:, :, -2:])
        self.mean.mul_(0.9).add_(0.1 * torch.relu(self.conv(rows))[:, :, -1])
        return self.linear(self.mean)


class Rolled(nn.Module):
    """A ring that is rolled, and its last row written."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, 2)
        self.register_buffer("ring", torch.zeros(1, 4, 3))

    def forward(self, x: Tensor) -> Tensor:
        self.ring.copy_(torch.roll(self.ring, -1, 1))
        self.ring[:, -1] = x
        return self.linear(self.ring.flatten(1))


class Recurrent(nn.Module):
    """An LSTM whose states are buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.linear = nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 2)
        self.register_buffer("h", torch.zeros(1, 1, 8))
        self.register_buffer("c", torch.zeros(1, 1, 8))

    def forward(self, x: Tensor) -> Tensor:
        y, (h, c) = self.lstm(x, (self.h, self.c))
        self.h.copy_(h)
        self.c.copy_(c)
        return self.linear(y[:, -1])


class Assigned(nn.Module):
    """The state is an output, too."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.register_buffer("h", torch.zeros(1, 6))

    def forward(self, x: Tensor) -> Tensor:
        self.h = torch.tanh(self.linear(x + self.h))
        return self.h


class Difference(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 2)
        self.register_buffer("old", torch.zeros(1, 6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x - self.old)
        self.old.copy_(x)
        return y


MODULES = {Filtered: (4, 1), Rolled: (3,), Recurrent: (1, 6), Assigned: (6,)}


def rows_of(make: type[nn.Module]) -> np.ndarray:
    chance = np.random.default_rng(0)
    return chance.normal(0, 1, (STEPS, *MODULES[make])).astype(np.float32)


def made(make: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return make().eval()


@pytest.mark.emulated
@pytest.mark.parametrize("make", MODULES)
def test_the_c_follows_torch_step_by_step(make: type[nn.Module]) -> None:
    rows, module = rows_of(make), made(make)
    model = mcuq.compile(module, torch.zeros(1, *rows.shape[1:]), rows, effort="fast")
    assert all(verdict.exact for verdict in model.check(["mps2_an386"], vectors=8))
    (found,) = model.run("mps2_an386", rows).values()
    with torch.no_grad():
        wanted = np.concatenate([module(torch.from_numpy(row[None])).clone() for row in rows])
    noise = np.square(wanted - found.reshape(wanted.shape)).sum()
    assert 10 * np.log10(np.square(wanted).sum() / noise) > 30


def test_a_program_in_a_file_is_the_same_stream(tmp_path: Path) -> None:
    module = made(Filtered)
    program = torch.export.export(module, (torch.zeros(1, 4, 1),))
    torch.export.save(program, tmp_path / "filtered.pt2")
    graphs = [
        torch_program.load(tmp_path / "filtered.pt2").graph,
        torch_program.from_module(module, torch.zeros(1, 4, 1)).graph,
    ]
    first, second = ({s.read: s.start for s in g.stream.states} for g in graphs if g.stream)
    assert first.keys() == second.keys() == {"rows", "mean"}
    assert np.array_equal(first["mean"], np.full((1, 6), 0.1, np.float32))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_weights_of_a_stream_cannot_lie_apart() -> None:
    rows = rows_of(Assigned)
    with pytest.raises(McuqError, match="Assigned: is a stream, whose weights cannot lie apart"):
        compile_model(made(Assigned), torch.zeros(1, 6), rows, weights=1)


def test_a_buffer_that_becomes_an_input_is_refused() -> None:
    said = "Difference: buffer 'old' becomes the input 'x' as it is. Make 'old' an input"
    with pytest.raises(McuqError, match=said):
        torch_program.from_module(made(Difference), torch.zeros(1, 6))
