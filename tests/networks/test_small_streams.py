"""Streams that are made smaller: compress and fit take them, as compile does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import mcuq
from mcuq.ir import state_ports

STEPS = np.random.default_rng(0).normal(size=(4, 40, 5, 1)).astype(np.float32)


class Kept(nn.Module):
    """A convolution over two rows that the caller keeps, and the new one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv1d(5, 16, 3), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor, cache: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.cat([cache, x], 2)
        return self.head(torch.relu(self.conv(rows)).flatten(1)), rows[:, :, 1:]


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    return Kept().eval()


EXAMPLE = (torch.zeros(1, 5, 1), torch.zeros(1, 5, 2))


def test_compress_leaves_channels_out_of_a_stream(module: nn.Module) -> None:
    """Its calibration are sequences, whose states the float network makes; it stays a stream."""
    small = mcuq.compress_model(module, EXAMPLE, {"x": STEPS}, compress="structured:0.5")
    assert small.done.graph.stream is not None
    assert [read.name for _, read, _ in state_ports(small.done.graph)] == ["cache"]
    made = mcuq.compile(
        module, EXAMPLE, {"x": STEPS}, effort="fast", compress="structured:0.5"
    ).compiled  # fmt: skip
    shapes = {t.shape for t in made.program.qgraph.tensors.values() if t.data is not None}
    assert (8, 1, 3, 5) in shapes


def test_fit_takes_a_stream(module: nn.Module) -> None:
    fitted = mcuq.fit_model(
        module, EXAMPLE, {"x": STEPS}, flash=65536, ram=16384, board="cortex-m4"
    )
    assert fitted.verdict.startswith("fits cortex-m4 as it is")
    assert fitted.points[0].fits
