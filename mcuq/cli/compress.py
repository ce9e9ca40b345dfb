"""The command compress, and the options that it shares with compile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mcuq.cli.complete import complete_board

if TYPE_CHECKING:
    from mcuq.compress.notes import LayerGain

Command = TypeVar("Command", bound=Callable[..., Any])
_OPTIONS = (
    click.option(
        "--compress",
        "methods",
        metavar="METHODS",
        help="Such as structured:0.5,cluster:4bit. Also sparse:0.8, block:0.8, 2:4, log, int4.",
    ),
    click.option("--recover", type=int, metavar="EPOCHS", help="Tune the network after that."),
    click.option("--labels", is_flag=True, help="Tune with the classes y of the --calib file."),
    click.option(
        "--checkpoint", type=click.Path(), help="A file to go on from after an interruption."
    ),
)


def compressing(command: Command) -> Command:
    """``command`` with the options of compression."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def shaped(command: Command) -> Command:
    """``command`` with the option for sizes that a model leaves open."""
    return click.option(
        "--shape",
        "shapes",
        multiple=True,
        metavar="NAME=SIZES",
        help="Of an input whose sizes the model leaves open, such as image=1,3,96,96.",
    )(command)


def shapes_of(given: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The shapes by input name that ``--shape`` options say."""
    from mcuq.errors import McuqError

    found = {}
    for text in given:
        name, _, sizes = text.rpartition("=")
        parts = sizes.split(",")
        if not name or not all(p.isascii() and p.isdigit() and len(p) < 10 for p in parts):
            remedy = "Write NAME=SIZES, such as image=1,3,96,96"
            raise McuqError(f"--shape {text}", "is not a name and whole numbers", remedy)
        found[name] = tuple(int(part) for part in parts)
    return found


@click.command()
@click.argument("model", type=click.Path())
@click.option("--calib", help="Typical inputs: FILE.npz, FILE.npz:ARRAY or FILE.npy.")
@shaped
@compressing
@click.option("--config", "config_path", type=click.Path(), help="With a [compress] table.")
@click.option(
    "--board",
    help="A board's name or .toml file: whose kernels are weighed.",
    shell_complete=complete_board,
)
@click.option("--fit-flash", metavar="SIZE", help="Find settings for so much flash, as 256K.")
@click.option("--fit-ram", metavar="SIZE", help="Find settings for so much RAM, as 64K.")
@click.option("--max-drop", type=float, default=1.0, show_default=True, help="Points to lose.")
@click.option("--json", "json_path", type=click.Path(), help="Write the results as JSON.")
@click.option("-o", "--out", required=True, type=click.Path(), help="The .onnx file to write.")
def compress(
    model: str,
    calib: str | None,
    shapes: tuple[str, ...],
    methods: str | None,
    recover: int | None,
    labels: bool,
    checkpoint: str | None,
    config_path: str | None,
    board: str | None,
    fit_flash: str | None,
    fit_ram: str | None,
    max_drop: float,
    json_path: str | None,
    out: str,
) -> None:
    """Write a smaller float network to an ONNX file.

    Leaves out channels of MODEL, or weights, or lets weights share values.

    With --fit-flash or --fit-ram, settings that fit and lose least are sought: fewer channels,
    shared values, zeros. A limit that is not given is what the board has.
    """
    from mcuq import config
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import progress, say, write_json
    from mcuq.errors import McuqError
    from mcuq.flows.compress import compress_model
    from mcuq.schema.records import plain

    writes = {"-o": out, "--json": json_path, "--checkpoint": checkpoint}
    check_paths([model, calib, board, config_path], writes, out=(".onnx",))
    settings = config.load(Path(config_path)) if config_path else config.Config()
    common = {"recover": recover, "labels": labels_of(calib, labels), "checkpoint": checkpoint}
    common |= {"table": settings.compress, "board": board}
    common["shapes"] = {**settings.shapes, **shapes_of(shapes)}
    if fit_flash or fit_ram:
        if methods:
            raise McuqError("compress", "--fit-flash and --fit-ram find the methods themselves")
        found = _fitted(model, calib, fit_flash, fit_ram, max_drop, common)
        write_json(json_path, found.to_json())
        small = found.small
    else:
        with progress(f"compress {Path(model).name}") as report:
            given: Any = {**common, "compress": methods, "progress": report}
            small = compress_model(model, None, calib, **given)
        show_layers(small.layers)
        write_json(json_path, plain(small.report))
    if small is None:
        raise SystemExit(1)
    for advice in small.advice:
        say(f"note: {advice}", err=True)
    small.write(out)
    lost = small.done.sqnr_db
    say(f"{out} written" + ("" if lost is None else f", output SQNR {lost:.1f} dB"))


def labels_of(calib: str | None, wanted: bool) -> Any:
    """The array y of the calibration file, if that is wanted."""
    from mcuq.data.feeds import load_labels

    return load_labels(calib) if wanted and calib else None


def _fitted(
    model: str,
    calib: str | None,
    fit_flash: str | None,
    fit_ram: str | None,
    max_drop: float,
    common: Mapping[str, Any],
) -> Any:
    """The search for settings, its table shown."""
    from mcuq.cli.show import progress, say, table
    from mcuq.errors import McuqError
    from mcuq.flows.fit import fit_model, size_of

    if not common["board"]:
        raise McuqError("compress", "limits are of a board's memory", "Pass --board")
    flash = size_of(fit_flash, "--fit-flash") if fit_flash else None
    ram = size_of(fit_ram, "--fit-ram") if fit_ram else None
    with progress(f"compress {Path(model).name}") as report:
        given: Any = {**common, "progress": report, "max_drop": max_drop}
        found = fit_model(model, None, calib, flash=flash, ram=ram, **given)
    columns = (
        *("settings", "#flash B", "#RAM B", "?#est. cycles", "fits"),
        *("?#accuracy %", "#points lost", "?#SQNR dB", "best"),
    )
    rows = [
        (p.settings, p.flash, p.ram, p.cycles, p.fits, p.accuracy, p.drop, p.sqnr_db, p.best)
        for p in found.points
    ]
    table("", columns, rows)
    say(found.verdict)
    return found


def show_layers(layers: Sequence[LayerGain]) -> None:
    """Print what compression did to each layer, and what that brings."""
    from mcuq.cli.show import table

    keys = (
        *("layer", "methods", "before", "after", "nonzero", "values"),
        *("flash_before", "flash", "cycles_before", "cycles", "kernel", "sqnr_db"),
    )
    columns = (
        *("layer", "methods", "??#weights", "?#now", "??#not 0", "??#values"),
        *("#B before", "#B now", "#cycles before", "#cycles now", "??kernel", "?#SQNR dB"),
    )
    if layers:
        table("", columns, [tuple(getattr(layer, key) for key in keys) for layer in layers])
