"""Commands that measure a compiled model: check, bench, eval, run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mcuq.cli.complete import complete_board
from mcuq.errors import McuqError

if TYPE_CHECKING:
    from mcuq.api import Model
    from mcuq.model.compiled import Compiled
    from mcuq.targets.boards import Board


_on = click.option(
    "--on", "place", help="A real board: gdb:HOST:PORT or serial:/dev/TTY (docs/board.md)."
)
_port = click.option(
    "--port", help="With --on gdb: your C file that sets up the board's clocks (docs/board.md)."
)


@click.command()
@click.argument("folder", type=click.Path())
@click.option(
    "--board",
    "names",
    multiple=True,
    help="A board's name or .toml file; repeatable.",
    shell_complete=complete_board,
)
@click.option("--all", "every", is_flag=True, help="One emulated board for every kind of core.")
@click.option("--vectors", "count", type=click.IntRange(1), default=20, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@_on
@_port
@click.option("--json", "json_path", type=click.Path(), help="Write the verdicts as JSON.")
def check(
    folder: str,
    names: Sequence[str],
    every: bool,
    count: int,
    seed: int,
    place: str | None,
    port: str | None,
    json_path: str | None,
) -> None:
    """Compare every tensor with the reference, on host and boards.

    The boards are emulated, and every step of every vector counts. Without --board or --all:
    the board that the model was compiled for, else all cores. Exits 1 if anything differs.
    With --on it is one real board, by itself.

    The C files of FOLDER are compiled and run on this computer and in emulators: check only a
    folder whose C you would run.
    """
    from mcuq import api
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import progress, write_json
    from mcuq.targets.boards import load
    from mcuq.targets.cores import CHECKED

    check_paths([*names, port], {"--json": json_path}, folder)
    made = api.load(folder)
    if place is not None:
        if every or len(names) > 1:
            raise McuqError("--on", "is for one board", "Name it with --board")
        board = _target(folder, next(iter(names), None), made)
        _check_desk(made, board, place, port, count, seed, json_path)
    _refuse_port(port)
    bundle = made.compiled.bundle
    own = list(bundle.family or (bundle.board,)) if bundle.board else []
    if every or not (names or own):
        names = (*names, *CHECKED)
    chosen = [load(n) for n in dict.fromkeys(names)] or own
    with progress(f"check {folder}") as report:
        verdicts = made.check(chosen, count, seed, report, clang=True)
    _show_verdicts(verdicts)
    _show_kernels(made.compiled, chosen, verdicts)
    write_json(json_path, {"boards": {v.board: v.to_json() for v in verdicts}})
    raise SystemExit(0 if all(v.exact for v in verdicts) else 1)


def _check_desk(
    made: Model,
    board: Board,
    place: str,
    port: str | None,
    count: int,
    seed: int,
    json_path: str | None,
) -> NoReturn:
    from mcuq.cli.show import progress, say, write_json

    with progress(f"check on {place}") as report:
        verdict = made.check_on(board, place, count, seed, port, report)
    _show_verdicts([verdict])
    spent = "counts no cycles" if verdict.cycles is None else f"{verdict.cycles:,} cycles"
    say(f"{board.name} on {place}: {spent}")
    write_json(json_path, {"boards": {verdict.board: verdict.to_json()}})
    raise SystemExit(0 if verdict.exact else 1)


def _refuse_port(port: str | None) -> None:
    if port is not None:
        raise McuqError("--port", "is for a real board", "Add --on, or leave it out")


def _show_verdicts(verdicts: Sequence[Any]) -> None:
    from mcuq.cli.show import say, table

    columns = (
        *("board", "?core", "#flash B", "#RAM B", "#stack B", "#instructions"),
        *("?#vectors", "?#tensors compared", "verdict"),
    )
    rows = [
        (
            *(v.board, v.core, v.flash, v.ram, max(v.stacks.values(), default=None)),
            v.instructions,
            *(v.vectors, v.tensors, v.outcome),
        )
        for v in verdicts
    ]
    table("", columns, rows)
    for verdict in verdicts:
        if verdict.stacks:
            proven = "; ".join(f"{size:,} B with {name}" for name, size in verdict.stacks.items())
            say(f"{verdict.board}: stack at most {proven}; one run touched {verdict.stack:,} B")
        if verdict.first:
            say(f"{verdict.board}: {verdict.first}")


def _show_kernels(compiled: Compiled, chosen: Sequence[Board], verdicts: Sequence[Any]) -> None:
    """Which core the kernels are for, and the boards whose own would be faster."""
    from mcuq.cli.show import say
    from mcuq.program.elsewhere import elsewhere, kernels_of
    from mcuq.targets.boards import cpu

    models = compiled.variants or (compiled,)
    say(f"kernels for {', '.join(kernels_of(model.program) for model in models)}")
    for board, verdict in zip(chosen, verdicts[1:], strict=True):
        row = elsewhere(compiled.on(board).program, cpu(board))
        if row:
            say(f"{board.name}: {row.times(verdict.instructions)}, see 'mcuq retarget'")


@click.command("eval")
@click.argument("folder", type=click.Path())
@click.option("--data", required=True, help="FILE.npz with arrays x and, if known, y.")
@click.option(
    "--anomaly", is_flag=True, help="y is 0 or 1: AUC of the reconstruction error as a score."
)
@click.option("--json", "json_path", type=click.Path(), help="Write the result as JSON.")
def evaluate(folder: str, data: str, anomaly: bool, json_path: str | None) -> None:
    """Float and integer network on your data: SQNR, errors, accuracy.

    Whole numbers in y are classes, reals (or one per output value) are targets of a regression.
    Without y the integers are compared with float only.
    """
    from mcuq import api
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import progress, table, write_json

    check_paths([data], {"--json": json_path}, folder)
    made = api.load(folder)
    with progress(f"eval {folder}") as report:
        report("float and integer network", 0.1)
        result = made.evaluate(data, anomaly=anomaly)
    table("", ("", "#value"), _result_rows(result))
    write_json(json_path, result.to_json())


def _result_rows(result: Any) -> list[tuple[str, object]]:
    """What is known, one line each."""
    rows: list[tuple[str, object]] = [("rows", result.samples)]
    if result.float_top1 is not None:
        rows.append(("float top-1", _percent(result.float_top1)))
        small = result.compressed_top1
        rows += [("compressed, float top-1", _percent(small))] if small is not None else []
        rows.append(("int8 top-1", _percent(result.int8_top1)))
    if result.agreement is not None:
        rows.append(("same class in both", _percent(result.agreement)))
    if result.targets:
        off = result.targets
        rows.append(("MSE to y, float, int8", f"{off.float_mse:.6g}, {off.int8_mse:.6g}"))
        rows.append(("MAE to y, float, int8", f"{off.float_mae:.6g}, {off.int8_mae:.6g}"))
    if result.anomaly:
        scores = result.anomaly
        rows.append(("AUC, float, int8", f"{scores.float_auc:.4f}, {scores.int8_auc:.4f}"))
    rows.append(("output SQNR", f"{result.sqnr_db:.2f} dB"))
    for output in result.outputs:
        text = f"{output.sqnr_db:.2f} dB, MSE {output.mse:.4g}, MAE {output.mae:.4g}"
        rows.append((f"'{output.name}' against float", text))
    return rows


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.2f} %"


@click.command()
@click.argument("folder", type=click.Path())
@click.option(
    "--board",
    help="Default: the board that the model was compiled for.",
    shell_complete=complete_board,
)
@click.option("--why", is_flag=True, help="Show the kernels that each step could have used.")
@_on
@_port
@click.option("--json", "json_path", type=click.Path(), help="Write the counts as JSON.")
def bench(
    folder: str,
    board: str | None,
    why: bool,
    place: str | None,
    port: str | None,
    json_path: str | None,
) -> None:
    """Executed instructions of one inference, in total and per step.

    With --on, cycles that a real board took, beside the estimates.
    """
    from mcuq import api
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import progress, write_json

    check_paths([board, port], {"--json": json_path}, folder)
    made = api.load(folder)
    target = _target(folder, board, made)
    with progress(f"bench {folder}") as report:
        if place is None:
            _refuse_port(port)
            result = made.bench(target, report)
        else:
            result = made.bench_on(target, place, port, report)
    _show_steps(result)
    if why:
        _show_choices(result)
    write_json(json_path, result.to_json())


def _show_steps(result: Any) -> None:
    from mcuq.cli.show import say, table

    rows = [
        (
            *(s.name, s.op, s.kernel, s.macs, s.instructions, s.per_mac, s.cycles_estimate),
            *(s.stalls, s.cycles),
        )
        for s in result.steps
    ]
    columns = (
        *("step", "?op", "!kernel", "#MACs", "#instructions", "?#per MAC", "?#est. cycles"),
        *("?#flash waits", "?#measured cycles"),
    )
    table(f"{result.board} ({result.core})", columns, rows)
    say(
        f"{result.instructions:,} instructions, {result.macs:,} MACs, "
        f"{result.instructions / max(1, result.macs):.3f} per MAC; "
        f"flash {result.flash:,} B, RAM {result.ram:,} B"
    )
    if result.worst is not None:
        say(f"a step of the stream: {result.instructions:,} in the mean, {result.worst:,} at most")
    say(result.kernels)
    if result.cycles_estimate is not None:
        time = ""
        if result.milliseconds is not None:
            time = f", {result.milliseconds:.2f} ms at {result.clock_hz / 1e6:g} MHz"
        waits = "zero-wait memory" if result.stalls is None else "without waiting for flash"
        waited = "" if result.stalls is None else f", and {result.stalls:,} waiting for flash"
        say(
            f"estimated cycles ({waits}, Arm's reference manuals): "
            f"{result.cycles_estimate:,}{waited}{time}"
        )
    _show_measured(result)


def _show_measured(result: Any) -> None:
    from mcuq.cli.show import say

    if result.on is None:
        return
    if result.cycles is None:
        say(f"{result.on}: the core counts no cycles")
        return
    time = ""
    if result.measured_milliseconds is not None:
        time = f", {result.measured_milliseconds:.2f} ms at {result.clock_hz / 1e6:g} MHz"
    say(f"measured cycles, {result.on}: {result.cycles:,}{time}")


def _show_choices(result: Any) -> None:
    from mcuq.cli.show import table

    rows = [
        (s.name, c.symbol, round(c.cost), _measured(s, c), c.flash, _reason(s, c))
        for s in result.steps
        for c in s.choices
    ]
    columns = ("step", "!possible kernel", "#estimated", "?#measured", "?#constants B", "")
    table("", columns, rows)


def _target(folder: str, board: str | None, made: Model) -> Board:
    """The board that was asked for, else the one that the model was compiled for."""
    from mcuq.errors import BoardError
    from mcuq.targets.boards import load

    target = load(board) if board else made.compiled.bundle.board
    if target is None:
        raise BoardError(folder, "was compiled for no board in particular", "Pass --board")
    return target


def _measured(step: Any, choice: Any) -> int | None:
    return step.instructions if choice.symbol == step.kernel else None


def _reason(step: Any, choice: Any) -> str:
    """Why a kernel was chosen, or lost against the chosen one."""
    chosen = step.choices[0]
    if choice is chosen:
        return "chosen"
    if choice.cycles >= chosen.cycles:
        return f"{choice.cycles / chosen.cycles:.2f} x cycles"
    if choice.flash > chosen.flash:
        return f"{choice.flash / max(1, chosen.flash):.2f} x constants"
    if choice.cost > chosen.cost:
        return f"{choice.cost / chosen.cost:.2f} x instructions"
    return "not worth its code"


@click.command()
@click.argument("folder", type=click.Path())
@click.option(
    "--board",
    help="Default: the board that the model was compiled for.",
    shell_complete=complete_board,
)
@click.option("--input", "source", required=True, help="FILE.npy or FILE.npz, any rows.")
@click.option("-o", "--out", required=True, type=click.Path(), help="FILE.npy or FILE.npz.")
@click.option("--raw", is_flag=True, help="Write the integers instead of reals.")
def run(folder: str, board: str | None, source: str, out: str, raw: bool) -> None:
    """Run your inputs in emulation and write the outputs.

    Both are in the layout of the model's own inputs and outputs.
    """
    from mcuq import api
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import progress, say
    from mcuq.ir import shown

    check_paths([source, board], {"-o": out}, folder, (".npy", ".npz"))
    made = api.load(folder)
    target = _target(folder, board, made)
    with progress(f"run {folder}") as report:
        rows = made.run_file(target, source, out, raw, report)
    say(f"{out}: {rows} rows from {target.name}")
    for port in shown(made.compiled.program.qgraph):
        sizes = " x ".join(map(str, (rows, *port.shape[1:])))
        say(f"{port.name}: {sizes}, in the model's own order")
