"""A small model, and packages of it."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from mcuq.config import Config
from mcuq.emit.packages import About
from mcuq.flows.compile import compile_model
from mcuq.flows.export import export as write
from mcuq.model.compiled import Compiled, generate_for
from mcuq.targets import boards

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"
CORES = "cortex-m4,cortex-m0plus,riscv32_virt"


@functools.cache
def digits() -> Compiled:
    """For the cores of all packages in one folder: a library for many boards."""
    rows = np.random.default_rng(0).uniform(0, 1, (32, 1, 8, 8)).astype(np.float32)
    fast = Config(quantize={"effort": "fast"})
    made = compile_model(DIGITS, calibration=rows, config=fast)
    return generate_for(made.bundle, boards.load_all(CORES))


def export(to: str, out: Path, about: About | None = None) -> Path:
    return write(digits(), to, out, about).place
