"""Self-test images of a compiled model: known answers inside, what a person flashes first."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mcuq.emulate import qemu
from mcuq.errors import ToolError
from mcuq.files import add_files, owner_of, put_files, temporary
from mcuq.firmware import image as build
from mcuq.firmware.harness import Vector
from mcuq.ir import Array, fed, shown
from mcuq.model.compiled import Compiled
from mcuq.program import fit
from mcuq.progress import Progress, silent
from mcuq.qir import QGraph
from mcuq.reference import run_int
from mcuq.sequences import run_steps, start_of
from mcuq.targets import boards
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
    compiled = compiled.on(board)
    fit.check(compiled.program, compiled.plan, boards.with_memory(board))
    known = known_answers(compiled)
    with temporary() as work:
        for own, share in ((False, 0.1), (True, 0.6)):
            progress("building for the board" if own else "building and running emulated", share)
            image = build.compile_image(
                compiled.files,
                compiled.entry,
                board,
                work,
                "selftest",
                vectors=known,
                own_memory=own,
            )
            if not own and not qemu.run_selftest(image):
                raise ToolError(board.name, "the self-test fails in emulation", "Run 'mcuq check'")
        return write_images(image, Path(out))


def write_images(image: build.Image, out: Path) -> list[Path]:
    """Write the ``.elf`` of an image, its listings and its ``.map``, as ``<model>-<kind>``."""
    sources = (image.elf, *image.listings, image.map)
    files = {f"{image.entry.id}-{image.kind}{s.suffix}": s.read_bytes() for s in sources}
    _write(out, files)
    return [out / name for name in files]


def _write(place: Path, files: Mapping[str, bytes]) -> None:
    """All files or none; below a compiled folder's ``selftest`` they belong to it from then on."""
    owner = owner_of(place)
    if owner is None:
        put_files(place, files)
    else:
        below = Path(os.path.realpath(place)).relative_to(owner).as_posix()
        add_files(owner, {f"{below}/{name}": content for name, content in files.items()})


def known_answers(compiled: Compiled, count: int = VECTORS) -> list[Vector]:
    """Calibration rows and what the reference makes of them; of a stream the first steps."""
    graph = compiled.program.qgraph
    rows = {n: v[:count] for n, v in compiled.bundle.vectors.items()}
    inputs = [rows[port.name] for port in fed(graph)]
    if graph.stream is None:
        expected = run_int(graph, rows, {port.tensor for port in graph.outputs})
    else:
        expected = _steps(graph, rows)
    outputs = [expected[port.tensor] for port in shown(graph)]
    return [Vector(_bytes(inputs, i), _bytes(outputs, i)) for i in range(len(next(iter(inputs))))]


def _steps(graph: QGraph, rows: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of the first steps of a stream."""
    sequence = {port.name: rows[port.name][None] for port in fed(graph)}
    made = run_steps(graph, lambda step: run_int(graph, step), start_of(graph, 1), sequence)
    return {p.tensor: np.concatenate([step[p.tensor] for step in made]) for p in shown(graph)}


def _bytes(parts: Sequence[Array], row: int) -> tuple[bytes, ...]:
    little = (np.ascontiguousarray(part[row]) for part in parts)
    return tuple(part.astype(part.dtype.newbyteorder("<")).tobytes() for part in little)
