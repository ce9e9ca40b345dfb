"""Self-test images of a compiled model: known answers inside, what a person flashes first."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mcuq.emulate import qemu
from mcuq.errors import ToolError
from mcuq.files import write_file
from mcuq.firmware import image as build
from mcuq.firmware.harness import Vector
from mcuq.flows.compile import Compiled
from mcuq.ir import Array
from mcuq.program import fit
from mcuq.progress import Progress, silent
from mcuq.reference import run_int
from mcuq.targets.boards import Board

VECTORS = 4


def build_selftest(
    compiled: Compiled,
    board: Board,
    out: str | Path,
    progress: Progress = silent,
) -> list[Path]:
    """Write ``.elf``, ``.hex``, ``.bin`` and ``.map`` for ``board``'s own memory into ``out``.

    The image is first linked for the emulated twin and run there: one that fails is not written.
    Raises FitError if the model does not fit the board.
    """
    fit.check(compiled.program, compiled.plan, board)
    known = known_answers(compiled)
    with tempfile.TemporaryDirectory(prefix="mcuq-") as work:
        made = []
        for own, share in ((False, 0.1), (True, 0.6)):
            progress("building for the board" if own else "building and running emulated", share)
            image = build.compile_image(
                compiled.files,
                compiled.entry,
                board,
                Path(work),
                "selftest",
                vectors=known,
                own_memory=own,
            )
            if not own and not qemu.run_selftest(image):
                raise ToolError(board.name, "the self-test fails in emulation", "Run 'mcuq check'")
        for source in (image.elf, *image.listings, image.map):
            target = Path(out) / f"{compiled.bundle.id}-selftest{source.suffix}"
            write_file(target, source.read_bytes())
            made.append(target)
    return made


def known_answers(compiled: Compiled, count: int = VECTORS) -> list[Vector]:
    """Calibration rows and what the reference makes of them."""
    graph = compiled.program.qgraph
    rows = {n: v[:count] for n, v in compiled.bundle.vectors.items()}
    expected = run_int(graph, rows, {port.tensor for port in graph.outputs})
    inputs = [rows[port.name] for port in graph.inputs]
    outputs = [expected[port.tensor] for port in graph.outputs]
    return [Vector(_bytes(inputs, i), _bytes(outputs, i)) for i in range(len(next(iter(inputs))))]


def _bytes(parts: Sequence[Array], row: int) -> tuple[bytes, ...]:
    little = (np.ascontiguousarray(part[row]) for part in parts)
    return tuple(part.astype(part.dtype.newbyteorder("<")).tobytes() for part in little)
