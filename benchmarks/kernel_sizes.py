"""Measure code and stack of every kernel on every core: ``mcuq/kernels/sizes.json``.

    python -m benchmarks.kernel_sizes

Each kernel is linked alone with the library functions that it calls. ``--board`` decides from this
table whether a model fits, before anything is built. Only kernels whose C has changed are measured
(``--all``: all of them, after a change of compiler); a kernel takes a few seconds.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mcuq.emit import kernel_files
from mcuq.emit.entry import Entry
from mcuq.emulate import stack
from mcuq.firmware import image as build
from mcuq.kernels import VARIANTS, sizes
from mcuq.targets import boards
from mcuq.targets.boards import Board
from mcuq.targets.cores import CORES

_ENTRY = Entry("probe", 0, (), (), ())
# The call of the kernel: linked, never run, so its arguments do not matter.
_HEADER = "#include <stdint.h>\nvoid probe_run(int8_t *arena);\n"
_SOURCE = """#include "probe.h"
void {symbol}({argument});
void probe_run(int8_t *arena)
{{
    (void)arena;
    {body}
}}
"""


def measure(symbol: str | None, board: Board, folder: Path) -> tuple[int, int]:
    """Bytes of flash and stack of a function that calls ``symbol`` (or nothing) and no more."""
    body = f"{symbol}();" if symbol else ""
    source = _SOURCE.format(symbol=symbol or "none", argument="void", body=body)
    kernels = kernel_files({symbol}) if symbol else {}
    files = {"probe.h": _HEADER, "probe.c": source, **kernels}
    place = folder / (symbol or "none")
    image = build.compile_image(files, _ENTRY, board, place, "plain")
    assert image.sizes is not None
    return image.sizes.flash, stack.worst_case(image).bytes


def core_sizes(symbols: list[str], board: Board, folder: Path) -> dict[str, dict[str, int]]:
    """``flash`` and ``stack`` of ``symbols`` on the core of ``board``."""
    base_flash, base_stack = measure(None, board, folder)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda symbol: measure(symbol, board, folder), symbols))
    return {
        symbol: {"flash": flash - base_flash, "stack": depth - base_stack}
        for symbol, (flash, depth) in zip(symbols, found, strict=True)
    }


def sources() -> dict[str, str]:
    """A digest of the C of every kernel, headers included."""
    return {symbol: _digest(symbol) for symbol in sorted({v.symbol for v in VARIANTS})}


def _digest(symbol: str) -> str:
    text = "".join(kernel_files({symbol}).values())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def main() -> None:
    """Measure what has changed, write the table."""
    known = json.loads(sizes.FILE.read_text()) if "--all" not in sys.argv else {}
    current, before = sources(), known.get("sources", {})
    changed = [symbol for symbol in current if current[symbol] != before.get(symbol)]
    print(f"{len(changed)} of {len(current)} kernels: {', '.join(changed)}")
    table = {
        core: {symbol: size for symbol, size in known.get(core, {}).items() if symbol in current}
        for core in CORES
    }
    for core, known_core in CORES.items() if changed else ():
        with tempfile.TemporaryDirectory() as work:
            table[core] |= core_sizes(changed, boards.load(known_core.board), Path(work))
        print(core, flush=True)
    text = json.dumps({"sources": current, **table}, indent=1, sort_keys=True)
    sizes.FILE.write_text(text + "\n")


if __name__ == "__main__":
    main()
