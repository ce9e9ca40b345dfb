"""mcuq: PyTorch and ONNX networks to bit-exact int8 C for microcontrollers.

import mcuq
model = mcuq.compile(module, example_input, calibration)
model.write("out")
print(model.check(["mps2_an386"]))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mcuq.version import __version__ as __version__

if TYPE_CHECKING:
    from mcuq import train
    from mcuq.api import (
        Model,
        compile,
        compress_model,
        diff,
        estimate,
        fit_model,
        inspect,
        load,
        report,
        retarget,
        verify,
    )
    from mcuq.config import Config
    from mcuq.errors import McuqError

__all__ = [
    "Config", "McuqError", "Model", "compile", "compress_model", "diff", "estimate", "fit_model",
    "inspect", "load", "report", "retarget", "train", "verify",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import the API on first use: ``mcuq --help`` must not wait for torch."""
    if name not in __all__:
        raise AttributeError(f"module 'mcuq' has no attribute '{name}'")
    if name == "McuqError":
        from mcuq.errors import McuqError

        return McuqError
    if name == "train":
        return importlib.import_module("mcuq.train")
    from mcuq import api

    return getattr(api, name)


def __dir__() -> list[str]:
    """What a notebook offers behind ``mcuq.``: what there is, imported or not."""
    return sorted((*__all__, "__version__"))
