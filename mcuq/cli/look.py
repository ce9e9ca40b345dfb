"""Commands that look: inspect, boards, ops, doctor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcuq.cli.complete import complete_board
from mcuq.cli.compress import shaped, shapes_of

if TYPE_CHECKING:
    from mcuq.flows.estimate import Needs
    from mcuq.targets.boards import Board


@click.command()
@click.argument("model", type=click.Path())
@shaped
@click.option("--json", "json_path", type=click.Path(), help="Write the table as JSON.")
def inspect(model: str, shapes: tuple[str, ...], json_path: str | None) -> None:
    """Show a model's nodes, shapes, MACs and memory; needs no data.

    Lists every unsupported node at once, with a rewrite that would help, and exits 1 if there
    is any.
    """
    from mcuq import api
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import say, table, write_json

    check_paths([model], {"--json": json_path})
    facts = api.inspect(model, shapes_of(shapes))
    rows = [(r.name, r.op, r.input, r.output, r.macs, r.weights, r.live_bytes) for r in facts.rows]
    columns = ("node", "?op", "?input", "output", "#MACs", "#weights", "#live bytes")
    table(facts.name, columns, rows)
    for note in facts.notes:
        say(f"note: {note}", err=True)
    say(
        f"{facts.macs:,} MACs, {facts.weights:,} weights and biases, "
        f"at least {facts.peak:,} bytes of activations live at {facts.peak_node}"
    )
    write_json(json_path, facts.to_json())


@click.command()
@click.argument("model", type=click.Path())
@click.option("--board", "names", multiple=True, help="A board's name or .toml file; repeatable.")
@click.option("--all", "every", is_flag=True, help="Every board that comes with mcuq.")
@click.option(
    "--prefer",
    type=click.Choice(["balanced", "speed", "size"]),
    default="balanced",
    show_default=True,
    help="Which kernels, as in compile.",
)
@click.option("--bits", type=click.Choice(["8", "16"]), help="Of activations. Default: 8.")
@click.option("--config", "config_path", type=click.Path(), help="How inputs arrive, and more.")
@shaped
@click.option("--json", "json_path", type=click.Path(), help="Write the estimates as JSON.")
def estimate(
    model: str,
    names: tuple[str, ...],
    every: bool,
    prefer: str,
    bits: str | None,
    config_path: str | None,
    shapes: tuple[str, ...],
    json_path: str | None,
) -> None:
    """Flash, RAM and instructions on boards, and whether it fits.

    Needs no data: the network is rounded with made-up scales, on which sizes hardly depend. Exits 1
    if it fits none of the boards.
    """
    from mcuq import api
    from mcuq.cli.make import settings_of
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import progress, say, table, write_json
    from mcuq.errors import BoardError
    from mcuq.flows.estimate import BOUNDS
    from mcuq.targets import boards as known

    check_paths([model, config_path, *names], {"--json": json_path})
    if not (names or every):
        raise BoardError("estimate", "no board is given", "Pass --board NAME, or --all")
    targets = [*map(known.load, dict.fromkeys(names)), *(known.all_boards() if every else ())]
    settings = settings_of(config_path, None, None, bits)
    with progress(f"estimate {Path(model).name}") as report:
        found = api.estimate(
            model,
            on=tuple({board.name: board for board in targets}.values()),
            prefer=prefer,
            config=settings,
            shapes=shapes_of(shapes),
            progress=report,
        )
    table(found.name, _ESTIMATED, [_estimate_row(needs) for needs in found.boards])
    say(f"{found.macs:,} MACs, {found.weights:,} weights and biases; estimated without any data")
    say(f"beside a build with data: {BOUNDS}")
    write_json(json_path, found.to_json())
    raise SystemExit(0 if any(needs.fits for needs in found.boards) else 1)


_ESTIMATED = (
    *("board", "?core", "#flash B", "#RAM B", "#instructions"),
    *("?#est. ms", "?#arena B", "?#stack B", "fits"),
)


def _estimate_row(needs: Needs) -> tuple[object, ...]:
    return (
        *(needs.board, needs.core, needs.flash, needs.ram, needs.instructions),
        *(needs.milliseconds, needs.arena, needs.stack),
        f"no: {needs.over}" if needs.over else "yes",
    )


@click.command()
@click.argument("name", required=False, shell_complete=complete_board)
@click.option("--new", metavar="NAME", help="Write NAME.toml, a board of your own.")
@click.option(
    "--from", "origin", help="The board that it begins as.", shell_complete=complete_board
)
@click.option(
    "--json",
    "json_path",
    is_flag=False,
    flag_value="-",
    metavar="[FILE]",
    help="Write the facts as JSON; without a name, print them.",
)
def boards(name: str | None, new: str | None, origin: str | None, json_path: str | None) -> None:
    """List the boards and cores, or show one (a name or a .toml file).

    A core's name stands for any board with it: kernels are chosen for it, and nothing is said of
    memory.
    """
    from mcuq.cli.paths import check_paths
    from mcuq.errors import McuqError
    from mcuq.targets import boards as known
    from mcuq.targets.cores import CORES

    if (new is None) != (origin is None):
        raise McuqError("boards", "--new and --from belong together", "Give both")
    if new and origin:
        _write_board(new, origin)
        return
    check_paths([name], {"--json": None if json_path == "-" else json_path})
    chosen = (known.load(name),) if name else (*known.all_boards(), *map(known.of_core, CORES))
    if json_path:
        _write_boards(json_path, chosen)
    elif name:
        _show_board(chosen[0])
    else:
        _show_boards(chosen)


def _write_board(name: str, origin: str) -> None:
    from mcuq.cli.show import say
    from mcuq.errors import McuqError
    from mcuq.files import write_file
    from mcuq.targets import board_file
    from mcuq.targets.boards import load

    text = board_file.copied(load(origin), name)
    path = Path(f"{name}.toml")
    if path.exists():
        raise McuqError(str(path), "is there already", "Name another board")
    write_file(path, text.encode())
    say(f"{path} written; use it with --board {path}")


def _write_boards(path: str, chosen: Sequence[Board]) -> None:
    from mcuq.cli.show import say, to_json, write_json

    facts = {"boards": [_facts(b) for b in chosen if not b.is_core]}
    facts["cores"] = [_facts(b) for b in chosen if b.is_core]
    if path == "-":
        say(to_json(facts).decode().rstrip("\n"))
    else:
        write_json(path, facts)


def _facts(board: Board) -> dict[str, object]:
    """What a board's file says; of a core what it has, without the memory it is emulated in."""
    facts: dict[str, object] = {
        "name": board.name,
        "title": board.title,
        "core": board.cpu,
        "features": list(board.features),
        "flags": list(board.flags),
        "compiler": f"{board.toolchain}-gcc",
        "emulated_on": board.name if board.emulate_command else board.emulate_board,
    }
    if board.is_core:
        return facts
    own = {"clock_hz": board.clock_hz, "flash": board.flash.length, "ram": board.ram.length}
    return {**facts, **own, "stack": board.stack}


def _show_boards(chosen: Sequence[Board]) -> None:
    from mcuq.cli.show import table

    rows = [
        (b.name, b.title, b.cpu, b.flash.length // 1024, b.ram.length // 1024, _emulated(b))
        for b in chosen
        if not b.is_core
    ]
    table("", _BOARDS, rows)
    cores = [(b.name, ", ".join(b.features), _emulated(b)) for b in chosen if b.is_core]
    table("any board with a core", ("core", "features", "emulated on"), cores)


_BOARDS = ("board", "?~title", "core", "#flash KiB", "#RAM KiB", "emulated on")


def _show_board(board: Board) -> None:
    from mcuq.cli.show import table

    table(board.title, ("key", "~value"), _board_rows(board))


def _emulated(board: Board) -> str:
    return board.emulate_board or ("itself" if board.emulate_command else "nothing")


def _board_rows(board: Board) -> list[tuple[str, object]]:
    own = [
        ("clock", f"{board.clock_hz / 1e6:g} MHz"),
        ("flash", f"{board.flash.length // 1024} KiB at {board.flash.origin:#010x}"),
        ("RAM", f"{board.ram.length // 1024} KiB at {board.ram.origin:#010x}"),
        ("stack reserve", f"{board.stack} B"),
    ]
    return [
        ("name", board.name),
        ("core", board.cpu),
        *([] if board.is_core else own),
        ("compiler", f"{board.toolchain}-gcc {' '.join(board.flags)}"),
        ("features", ", ".join(board.features) or "none"),
        *([("multiplier", f"{cycles} cycles")] if (cycles := board.multiply_cycles) > 1 else []),
        ("emulated on", _emulated(board)),
        *([] if board.is_core else [("sizes from", board.source)]),
    ]


@click.command()
def ops() -> None:
    """List the supported operators and their limits."""
    from mcuq.cli.show import table
    from mcuq.measure.supported import supported

    rows = [
        (
            *(op.name, ", ".join(op.onnx) or "(internal)", ", ".join(op.tflite)),
            *(op.kernels or "(becomes another)", op.limits),
        )
        for op in supported()
    ]
    table("", ("operator", "from ONNX", "?from TFLite", "?kernels", "~limits"), rows)


@click.command()
def doctor() -> None:
    """Show which compilers and emulators are installed.

    With the command that installs what is missing; exits 1 if anything is.
    """
    from mcuq.cli.show import say, table
    from mcuq.firmware.toolchain import survey

    tools = survey()
    rows = [(t.name, "found" if t.path else "MISSING", t.version, t.needed_for) for t in tools]
    table("", ("tool", "state", "?version", "needed for"), rows)
    missing = [t.name for t in tools if not t.path]
    for command in dict.fromkeys(t.install for t in tools if t.name in missing):
        say(f"{', '.join(t.name for t in tools if t.install == command)}: install with")
        say(f"  {command}")
    say(f"missing: {', '.join(missing)}" if missing else "everything is installed")
    raise SystemExit(1 if missing else 0)
