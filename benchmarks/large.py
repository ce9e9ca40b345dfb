"""How long a large network takes: 5 MB of ONNX in more than 200 nodes, compiled with effort fast.

    python -m benchmarks.large [--effort normal]

A network of inverted bottlenecks with gates, seeded, 96 x 96 pixels, 100 calibration rows. It
prints its nodes and bytes, seconds of processor and of wall time, and the most memory in use.
"""

from __future__ import annotations

import contextlib
import io
import resource
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from torch import Tensor, nn

import mcuq

ROWS, SIZE = 100, 96
WIDTHS = (16, 24, 24, 40, 40, 40, 64, 64, 64, 80, 80, 80, 96, 96)
STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1)


class _Bottleneck(nn.Module):
    """Wide, each channel apart, a gate, narrow again; and around it, if the sizes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        wide = 6 * inputs
        self.around = stride == 1 and inputs == outputs
        self.wide = nn.Sequential(nn.Conv2d(inputs, wide, 1), nn.SiLU())
        self.each = nn.Sequential(nn.Conv2d(wide, wide, 3, stride, 1, groups=wide), nn.SiLU())
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, wide // 8, 1), nn.SiLU(),
            nn.Conv2d(wide // 8, wide, 1), nn.Sigmoid(),
        )  # fmt: skip
        self.narrow = nn.Conv2d(wide, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.each(self.wide(x))
        y = self.narrow(y * self.gate(y))
        return x + y if self.around else y


def network() -> nn.Module:
    """The network with seeded weights."""
    torch.manual_seed(0)
    parts: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2, 1), nn.SiLU()]
    inputs = 16
    for outputs, stride in zip(WIDTHS, STRIDES, strict=True):
        parts.append(_Bottleneck(inputs, outputs, stride))
        inputs = outputs
    parts += [nn.Conv2d(inputs, 320, 1), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*parts, nn.Linear(320, 100)).eval()


def written(folder: Path) -> Path:
    """The network as a file of ONNX."""
    path = folder / "large.onnx"
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        example = torch.zeros(1, 3, SIZE, SIZE)
        torch.onnx.export(network(), (example,), str(path), dynamo=False, opset_version=17)
    return path


def main(arguments: list[str]) -> None:
    """Print a line."""
    effort = arguments[arguments.index("--effort") + 1] if "--effort" in arguments else "fast"
    chance = np.random.default_rng(0)
    rows = chance.uniform(0, 1, (ROWS, 3, SIZE, SIZE)).astype(np.float32)
    with TemporaryDirectory() as folder:
        path = written(Path(folder))
        nodes, size = len(onnx.load(path).graph.node), path.stat().st_size
        wall, spent = time.perf_counter(), time.process_time()
        made = mcuq.compile(path, None, rows, effort=effort)
        wall, spent = time.perf_counter() - wall, time.process_time() - spent
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = made.evaluate(rows[:32]).outputs[0].sqnr_db
    print(f"{nodes} nodes, {size / 1e6:.1f} MB, effort {effort}: {spent:.0f} s of one processor, "
          f"{wall:.0f} s, {most:.0f} MB, {found:.1f} dB")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
