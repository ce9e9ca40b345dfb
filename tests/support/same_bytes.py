"""Prints a digest of what some small compilations write: the same on every processor.

python tests/support/same_bytes.py MODEL.onnx VARIANT...

Calibration rows lie in MODEL.npy beside it; without that they are those for the tests' own network.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

from mcuq.config import Config
from mcuq.flows.compile import compile_model
from mcuq.model import bundle
from mcuq.model.compiled import Compiled

VARIANTS: dict[str, dict[str, object]] = {
    "fast": {"effort": "fast"},
    "normal": {"effort": "normal"},
    "16 bits": {"effort": "fast", "bits": 16},
    "compressed": {"effort": "fast", "compress": "structured:0.3,sparse:0.5,cluster:4bit"},
    "recovered": {"effort": "fast", "compress": "sparse:0.5", "recover": 2},
}


def rows() -> np.ndarray:
    """Calibration rows as the model takes them, of channels that are not alike."""
    random = np.random.default_rng(7)
    scale = np.array([1.0, 30.0, 0.02])
    return (random.normal(0.3, 1, (64, 8, 8, 3)) * scale).astype(np.float32)


def compiled(model: str, calibration: np.ndarray, variant: str) -> Compiled:
    """``model`` as ``variant`` asks."""
    asked = dict(VARIANTS[variant])
    more = {key: asked.pop(key) for key in ("compress", "recover") if key in asked}
    return compile_model(
        model, calibration=calibration, name="same", config=Config(quantize=asked), **more
    )


def digest(made: Compiled) -> str:
    """Of all files that would be written."""
    state = hashlib.sha256(bundle.dump(made.bundle))
    for name, text in sorted(made.files.items()):
        state.update(name.encode() + text.encode())
    return state.hexdigest()


if __name__ == "__main__":
    beside = Path(sys.argv[1]).with_suffix(".npy")
    calibration = np.load(beside) if beside.exists() else rows()
    for chosen in sys.argv[2:]:
        print(chosen, digest(compiled(sys.argv[1], calibration, chosen)))
