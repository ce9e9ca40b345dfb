"""Commands that make something: compile, build."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcuq.cli.complete import complete_board
from mcuq.cli.compress import compressing, labels_of, shaped, shapes_of, show_layers
from mcuq.errors import McuqError

if TYPE_CHECKING:
    from mcuq.api import Model
    from mcuq.config import Config


@click.command("compile")
@click.argument("model", type=click.Path())
@click.option("--calib", help="Typical inputs: FILE.npz, FILE.npz:ARRAY or FILE.npy.")
@click.option(
    "--board",
    help="A board's name or .toml file, or a core: picks kernels, checks that it fits. "
    "Several, a,b,c: one folder for all.",
    shell_complete=complete_board,
)
@click.option("--name", help="The prefix of all C symbols; default: the model's file name.")
@click.option(
    "--prefer",
    type=click.Choice(["balanced", "speed", "size"]),
    default="balanced",
    show_default=True,
    help="Which kernels: about one byte a weight, the fastest, or the least flash.",
)
@click.option("--config", "config_path", type=click.Path(), help="How inputs arrive, and more.")
@click.option(
    "--ranges",
    type=click.Choice(["auto", "minmax", "percentile", "mse", "kl"]),
    help="How ranges are chosen. Default: auto, by the noise at the network's output.",
)
@click.option("--effort", type=click.Choice(["fast", "normal", "best"]), help="Default: normal.")
@click.option(
    "--bits",
    type=click.Choice(["8", "16", "mixed"]),
    help="Of activations; mixed: 16 where it helps most, for at most 1.5 x the cycles. Default: 8.",
)
@click.option(
    "--grids",
    type=click.Choice(["fitted", "kept"]),
    help="Of a quantized model: to powers of two, or its own integers, in 2 to 3 x the "
    "instructions. Default: fitted.",
)
@click.option(
    "--weights",
    type=click.Choice(["c", "blob"]),
    default="c",
    show_default=True,
    help="Where they lie: in the C, or in a file that is updated apart from it (docs/weights.md).",
)
@click.option(
    "--weights-version",
    type=click.IntRange(0, 2**31 - 1),
    help="With --weights blob: a number that grows with each update. Default: 1.",
)
@click.option(
    "--stream",
    help="frames=N[,axis=A][,padding=same]: a network of a window takes N new frames a call.",
)
@shaped
@compressing
@click.option("-o", "--out", required=True, type=click.Path(), help="The folder to write.")
def compile_(
    model: str,
    calib: str | None,
    board: str | None,
    name: str | None,
    prefer: str,
    config_path: str | None,
    ranges: str | None,
    effort: str | None,
    bits: str | None,
    grids: str | None,
    weights: str,
    weights_version: int | None,
    stream: str | None,
    shapes: tuple[str, ...],
    methods: str | None,
    recover: int | None,
    labels: bool,
    checkpoint: str | None,
    out: str,
) -> None:
    """Quantize MODEL (.onnx, .tflite, .pt2), write its C to a folder."""
    from mcuq import api
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import progress

    check_paths([model, calib, board, config_path], {"--checkpoint": checkpoint}, out)
    _check_out(out, checkpoint)
    version = _version_of(weights, weights_version)
    settings = settings_of(config_path, ranges, effort, bits, grids)
    with progress(f"compile {Path(model).name}") as report:
        made = api.compile(
            model,
            calibration=calib,
            board=board,
            name=name,
            prefer=prefer,
            config=settings,
            compress=methods,
            recover=recover,
            labels=labels_of(calib, labels),
            checkpoint=checkpoint,
            shapes=shapes_of(shapes),
            weights=version,
            stream=stream,
            progress=report,
        )
    made.write(out)
    _show(made, out)


def _version_of(weights: str, given: int | None) -> int | None:
    """The version of weights that lie apart, 1 if none is ``given``; None: they lie in the C."""
    if weights != "blob" and given is not None:
        raise McuqError("--weights-version", "is of a blob", "Add --weights blob")
    return 1 if weights == "blob" and given is None else given


def _check_out(out: str, checkpoint: str | None) -> None:
    """A checkpoint would be in the way in a folder that mcuq has yet to write."""
    from mcuq.files import MARK, check_replaceable

    check_replaceable(Path(out), MARK)
    if checkpoint and Path(os.path.realpath(checkpoint)).is_relative_to(os.path.realpath(out)):
        reason = f"lies in '{out}', the folder to write"
        raise McuqError(f"--checkpoint '{checkpoint}'", reason, "Name another file")


def settings_of(
    path: str | None,
    ranges: str | None,
    effort: str | None,
    bits: str | None,
    grids: str | None = None,
) -> Config:
    """What the file says, and in its place what the options say."""
    from mcuq import config

    settings = config.load(Path(path)) if path else config.Config()
    count = int(bits) if bits in ("8", "16") else bits
    given = {"ranges": ranges, "effort": effort, "bits": count, "grids": grids}
    return settings.with_quantize("compile", given)


def _show(made: Model, out: str) -> None:
    """Print what compression brought, the advice, and what the model needs."""
    from mcuq.cli.show import say
    from mcuq.model.report import to_text

    report = made.report
    show_layers(report.compression.layers if report.compression else ())
    for advice in made.advice:
        say(f"note: {advice}", err=True)
    for line in to_text(report):
        say(f"{out}: {line}")


@click.command()
@click.argument("folder", type=click.Path())
@click.option(
    "--board",
    required=True,
    help="A board's name or .toml file, or a core: picks kernels, checks that it fits.",
    shell_complete=complete_board,
)
@click.option(
    "--prefer",
    type=click.Choice(["balanced", "speed", "size"]),
    help="Which kernels. Default: as when it was compiled.",
)
@click.option("-o", "--out", type=click.Path(), help="The folder to write. Default: FOLDER.")
def retarget(folder: str, board: str, prefer: str | None, out: str | None) -> None:
    """Make the C in FOLDER for another board, without quantizing.

    The numbers that the network gives stay the same, to the bit.
    """
    from mcuq import api
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import progress
    from mcuq.files import MARK, check_replaceable

    check_paths([board], {}, folder)
    place = out or folder
    check_replaceable(Path(place), MARK)
    with progress(f"retarget {folder}") as report:
        report("generating C", 0.1)
        made = api.retarget(folder, board, prefer)
    made.write(place)
    _show(made, place)


@click.command()
@click.argument("folder", type=click.Path())
@click.option(
    "--board", required=True, help="A board's name or .toml file.", shell_complete=complete_board
)
@click.option("-o", "--out", type=click.Path(), help="Default: FOLDER/selftest/BOARD.")
@click.option("--serial", is_flag=True, help="The image for check --on serial:..., with --port.")
@click.option(
    "--port", help="The board's serial line: your C file, or one of mcuq's (docs/board.md)."
)
def build(folder: str, board: str, out: str | None, serial: bool, port: str | None) -> None:
    """Build a self-test image for a board: .elf, .hex, .bin and .map.

    Known answers are inside; the verdict is in the RAM symbol mcuq_verdict and, with a debugger
    attached, printed over semihosting.
    """
    from mcuq import api
    from mcuq.cli.show import progress, say
    from mcuq.program.elsewhere import elsewhere, kernels_of
    from mcuq.targets.boards import cpu, load, with_memory

    if serial != (port is not None):
        missing, other = ("--port", "--serial") if serial else ("--serial", "--port")
        raise McuqError(other, f"comes without {missing}", "Give both, or neither")
    target = with_memory(load(board))
    place = Path(out) if out else Path(folder) / "selftest" / target.name
    model = api.load(folder)
    with progress(f"build {folder}") as report:
        made = model.build(target, place, report, port)
    for path in made:
        say(str(path))
    program = model.compiled.on(target).program
    slow = elsewhere(program, cpu(target))
    if slow is not None:
        own = f"kernels for {kernels_of(program)}, {slow.times()}"
        say(f"{target.name}: {own}; see 'mcuq retarget'")
