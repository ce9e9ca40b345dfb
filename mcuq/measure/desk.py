"""A compiled model on a real board: every tensor compared, the cycles of every step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from mcuq.desk import link, place
from mcuq.desk.gdb import GdbLink
from mcuq.desk.link import Link
from mcuq.desk.place import Place
from mcuq.errors import McuqError
from mcuq.files import assets, read_file, temporary
from mcuq.firmware import harness
from mcuq.firmware import image as build
from mcuq.measure.check import Verdict, compare, expected_of
from mcuq.measure.selftest import write_images
from mcuq.model import vectors
from mcuq.model.compiled import Compiled
from mcuq.progress import Progress, silent
from mcuq.targets import boards
from mcuq.targets.boards import Board

_PORT = "mcuq_port_"


def check_desk(
    compiled: Compiled,
    board: Board,
    where: str,
    number: int = vectors.DEFAULT,
    seed: int = 0,
    port: str | None = None,
    progress: Progress = silent,
) -> Verdict:
    """Compare every tensor of ``number`` vectors on the board at ``where``, such as
    gdb:localhost:3333 or serial:/dev/ttyACM0; ``port``: the board's own C file, for its clocks.
    """
    at = place.parse(where)
    progress("integer reference", 0.0)
    wanted = expected_of(compiled, number, seed)
    own = compiled.on(board)
    with _linked(own, board, at, port, progress) as board_link:
        progress("running", 0.5)
        traces = link.trace(board_link, wanted.data, own.entry)
        spent = link.cycles(board_link, vectors.typical(own.bundle), own.entry)
    verdict = compare(own, board.name, board.cpu, traces, wanted.values)
    return replace(verdict, on=where, cycles=None if spent is None else sum(spent))


def measure_desk(
    compiled: Compiled,
    board: Board,
    where: str,
    port: str | None = None,
    progress: Progress = silent,
) -> tuple[int, ...] | None:
    """The cycles of each step of one inference on the board; None if its core counts none."""
    own = compiled.on(board)
    with _linked(own, board, place.parse(where), port, progress) as board_link:
        progress("running", 0.5)
        return link.cycles(board_link, vectors.typical(own.bundle), own.entry)


def build_serial(
    compiled: Compiled,
    board: Board,
    port: str,
    out: str | Path,
    progress: Progress = silent,
) -> list[Path]:
    """Write the image that answers on a serial line: ``.elf``, ``.hex``, ``.bin``, ``.map``.

    ``port``: the board's three functions, a C file or the name of one that comes with mcuq.
    """
    own = compiled.on(board)
    with temporary() as work:
        progress("building", 0.1)
        image = _image(own, board, work, "serial", port)
        return write_images(image, Path(out))


@contextmanager
def _linked(
    own: Compiled, board: Board, at: Place, port: str | None, progress: Progress
) -> Iterator[Link]:
    """The board, waiting for its first vector."""
    if own.program.qgraph.stream is not None:
        remedy = "Check it emulated, without --on"
        raise McuqError(own.bundle.id, "is a stream, which is not run on a real board", remedy)
    with temporary() as work:
        if at.kind == "gdb":
            progress("building", 0.1)
            opened: Link = GdbLink(at, _image(own, board, work, "gdb", port))
        else:
            from mcuq.desk.serial import SerialLink  # no such lines on every system

            if port is not None:
                raise McuqError("--port", "is part of the image on a serial board", "Leave it out")
            opened = SerialLink(at, own.entry, harness.identity(own.files, own.entry))
        with closing(opened):
            progress("connecting", 0.3)
            opened.start()
            yield opened


def _image(own: Compiled, board: Board, work: Path, kind: str, port: str | None) -> build.Image:
    extra = {} if port is None else {"mcuq_port.c": _port_text(port)}
    target = boards.with_memory(board)
    return build.compile_image(
        own.files, own.entry, target, work, kind, extra=extra, own_memory=True
    )


def ports() -> list[str]:
    """The names of the serial lines that mcuq brings the code of."""
    folder = assets.runtime_c() / "ports"
    return sorted(path.stem.removeprefix(_PORT) for path in folder.glob("*.c"))


def _port_text(port: str) -> str:
    if port.endswith(".c"):
        return read_file(Path(port)).decode(errors="replace")
    if port not in ports():
        remedy = f"Name a .c file, or one of {', '.join(ports())}"
        raise McuqError(f"--port '{port}'", "is no code of a serial line", remedy)
    return (assets.runtime_c() / "ports" / f"{_PORT}{port}.c").read_text(encoding="utf-8")
