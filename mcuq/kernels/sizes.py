"""Code and stack of every kernel on every core, measured once with the project's compiler.

``sizes.json`` is written by ``python -m benchmarks.kernel_sizes``.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

from mcuq.targets.cores import SIZES_OF_GENERIC

FILE = Path(__file__).parent / "sizes.json"


@functools.cache
def _table() -> dict[str, dict[str, dict[str, int]]]:
    loaded: dict[str, dict[str, dict[str, int]]] = json.loads(FILE.read_text())
    loaded.pop("sources", None)  # digests of the kernels that were measured
    return loaded


def kernel_flash(symbol: str, core: str) -> int:
    """Bytes of code and constants of a kernel, library functions that it calls included."""
    return _entry(symbol, core)["flash"]


def kernel_stack(symbol: str, core: str) -> int:
    """Bytes of stack of a kernel and what it calls."""
    return _entry(symbol, core)["stack"]


def _entry(symbol: str, core: str) -> dict[str, int]:
    table = _table()
    found = table.get(core, table[SIZES_OF_GENERIC]).get(symbol)
    if found is None:
        raise LookupError(f"{symbol} was not measured: run python -m benchmarks.kernel_sizes")
    return found
