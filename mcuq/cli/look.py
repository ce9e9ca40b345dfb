"""Commands that look: inspect, boards, ops, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mcuq.cli.compress import shaped, shapes_of


@click.command()
@click.argument("model", type=click.Path())
@shaped
@click.option("--json", "json_path", type=click.Path(), help="Write the table as JSON.")
def inspect(model: str, shapes: tuple[str, ...], json_path: str | None) -> None:
    """Show a model's nodes, shapes, MACs and memory; needs no data.

    Lists every unsupported node at once, with a rewrite that would help, and exits 1 if there
    is any.
    """
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import say, table, write_json
    from mcuq.measure.inspect import inspect_model

    check_paths([model], {"--json": json_path})
    facts = inspect_model(Path(model), shapes_of(shapes))
    rows = [(r.name, r.op, r.input, r.output, r.macs, r.weights, r.live_bytes) for r in facts.rows]
    columns = ("node", "op", "input", "output", "#MACs", "#weights", "#live bytes")
    table(facts.name, columns, rows)
    for note in facts.notes:
        say(f"note: {note}", err=True)
    say(
        f"{facts.macs:,} MACs, {facts.weights:,} weights and biases, "
        f"at least {facts.peak:,} bytes of activations live at {facts.peak_node}"
    )
    write_json(json_path, facts.to_json())


@click.command()
@click.argument("name", required=False)
def boards(name: str | None) -> None:
    """List the boards, or show one (a name, or your own .toml file)."""
    from mcuq.cli.show import table
    from mcuq.targets import boards as known

    if name:
        board = known.load(name)
        table(board.title, ("key", "value"), _board_rows(board))
        return
    rows = [
        (b.name, b.title, b.cpu, b.flash.length // 1024, b.ram.length // 1024, _emulated(b))
        for b in known.all_boards()
    ]
    table("", ("board", "title", "core", "#flash KiB", "#RAM KiB", "emulated on"), rows)


def _emulated(board: Any) -> str:
    return board.emulate_board or ("itself" if board.emulate_command else "nothing")


def _board_rows(board: Any) -> list[tuple[str, object]]:
    return [
        ("name", board.name),
        ("core", board.cpu),
        ("clock", f"{board.clock_hz / 1e6:g} MHz"),
        ("flash", f"{board.flash.length // 1024} KiB at {board.flash.origin:#010x}"),
        ("RAM", f"{board.ram.length // 1024} KiB at {board.ram.origin:#010x}"),
        ("stack reserve", f"{board.stack} B"),
        ("compiler", f"{board.toolchain}-gcc {' '.join(board.flags)}"),
        ("features", ", ".join(board.features) or "none"),
        *([("multiplier", f"{cycles} cycles")] if (cycles := board.multiply_cycles) > 1 else []),
        ("emulated on", _emulated(board)),
        ("sizes from", board.source),
    ]


@click.command()
def ops() -> None:
    """List the supported operators and their limits."""
    from mcuq.cli.show import table
    from mcuq.importers.tflite.handlers import operators_of
    from mcuq.kernels import variants
    from mcuq.ops import OPS

    rows = []
    known = {kind for op in OPS for kind in op.onnx} | {"Identity", "Cast"}
    for op in OPS:
        limits = "; ".join((limit.__doc__ or "").strip() for limit in op.limits)
        kernels = len(variants(op.name)) or "(becomes another)"
        onnx = ", ".join(op.onnx) or "(internal)"
        tflite = ", ".join(operators_of(op.onnx, known))
        rows.append((op.name, onnx, tflite, kernels, limits or op.note))
    table("", ("operator", "from ONNX", "from TFLite", "#kernels", "limits"), rows)


@click.command()
def doctor() -> None:
    """Show which compilers and emulators are installed.

    With the command that installs each; exits 1 if one is missing.
    """
    from mcuq.cli.show import say, table
    from mcuq.firmware.toolchain import survey

    tools = survey()
    rows = [
        (t.name, "found" if t.path else "MISSING", t.version, t.needed_for, t.install)
        for t in tools
    ]
    table("", ("tool", "state", "version", "needed for", "install with"), rows)
    missing = [t.name for t in tools if not t.path]
    say(f"missing: {', '.join(missing)}" if missing else "everything is installed")
    raise SystemExit(1 if missing else 0)
