"""mcuq: PyTorch and ONNX networks to bit-exact int8 C for microcontrollers.

    import mcuq
    compiled = mcuq.compile(module, example_input, calibration)
    compiled.write("out")
    print(mcuq.check(compiled, ["mps2_an386"]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mcuq.api import bench, build_selftest, check, compile, evaluate, inspect, load, run
    from mcuq.errors import McuqError

__all__ = [
    "McuqError",
    "bench",
    "build_selftest",
    "check",
    "compile",
    "evaluate",
    "inspect",
    "load",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import the API on first use: ``mcuq --help`` must not wait for torch."""
    if name not in __all__:
        raise AttributeError(f"module 'mcuq' has no attribute '{name}'")
    if name == "McuqError":
        from mcuq.errors import McuqError

        return McuqError
    from mcuq import api

    return getattr(api, name)
