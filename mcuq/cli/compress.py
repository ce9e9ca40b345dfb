"""The command compress, and the options that it shares with compile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mcuq.cli.complete import complete_board

if TYPE_CHECKING:
    from mcuq.compress.notes import LayerGain
    from mcuq.compress.weigh import Small
    from mcuq.config import Config
    from mcuq.flows.fit import Fitted

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
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import write_json
    from mcuq.config import Config, load
    from mcuq.errors import McuqError
    from mcuq.schema.records import plain

    writes = {"-o": out, "--json": json_path, "--checkpoint": checkpoint}
    check_paths([model, calib, board, config_path], writes, out=(".onnx",))
    settings = load(Path(config_path)) if config_path else Config()
    asked = _Asked(model, calib, board, settings, shapes_of(shapes), recover, labels, checkpoint)
    if fit_flash or fit_ram:
        if methods:
            raise McuqError("compress", "--fit-flash and --fit-ram find the methods themselves")
        found = asked.fitted(fit_flash, fit_ram, max_drop)
        write_json(json_path, found.to_json())
        small = found.small
    else:
        small = asked.compressed(methods)
        show_layers(small.layers)
        write_json(json_path, plain(small.report))
    if small is None:
        raise SystemExit(1)
    _write(small, out)


def labels_of(calib: str | None, wanted: bool) -> Any:
    """The array y of the calibration file, if that is wanted."""
    from mcuq.data.feeds import load_labels

    return load_labels(calib) if wanted and calib else None


def _write(small: Small, out: str) -> None:
    from mcuq.cli.show import say

    for advice in small.advice:
        say(f"note: {advice}", err=True)
    small.write(out)
    lost = small.done.sqnr_db
    say(f"{out} written" + ("" if lost is None else f", output SQNR {lost:.1f} dB"))


@dataclass(frozen=True)
class _Asked:
    """What both ways to a smaller network are told; ``labels``: the data's classes are used."""

    model: str
    calib: str | None
    board: str | None
    config: Config
    shapes: Mapping[str, tuple[int, ...]]
    recover: int | None
    labels: bool
    checkpoint: str | None

    def compressed(self, methods: str | None) -> Small:
        from mcuq import api
        from mcuq.cli.show import progress

        with progress(f"compress {Path(self.model).name}") as report:
            return api.compress_model(
                self.model,
                None,
                self.calib,
                compress=methods,
                config=self.config,
                recover=self.recover,
                labels=labels_of(self.calib, self.labels),
                checkpoint=self.checkpoint,
                board=self.board,
                shapes=self.shapes,
                progress=report,
            )

    def fitted(self, fit_flash: str | None, fit_ram: str | None, max_drop: float) -> Fitted:
        """The search for settings, its table shown."""
        from mcuq import api
        from mcuq.cli.show import progress
        from mcuq.errors import McuqError, size_of

        if not self.board:
            raise McuqError("compress", "limits are of a board's memory", "Pass --board")
        flash = size_of(fit_flash, "--fit-flash") if fit_flash else None
        ram = size_of(fit_ram, "--fit-ram") if fit_ram else None
        with progress(f"compress {Path(self.model).name}") as report:
            found = api.fit_model(
                self.model,
                None,
                self.calib,
                board=self.board,
                flash=flash,
                ram=ram,
                max_drop=max_drop,
                config=self.config,
                recover=self.recover,
                labels=labels_of(self.calib, self.labels),
                checkpoint=self.checkpoint,
                shapes=self.shapes,
                progress=report,
            )
        _show_points(found)
        return found


def _show_points(found: Fitted) -> None:
    from mcuq.cli.show import say, table

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
