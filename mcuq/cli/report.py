"""The command report: a compiled model on one page."""

from __future__ import annotations

from pathlib import Path

import click

# Every folder of pictures has this one.
_SIGN = "network.svg"


@click.command()
@click.argument("folder", type=click.Path())
@click.option("-o", "--out", type=click.Path(), help="The .html file to write.")
@click.option("--svg", "svg_folder", type=click.Path(), help="Write the pictures to a folder.")
@click.option("--data", help="FILE.npz with arrays x and, if known, classes y.")
@click.option("--measure", is_flag=True, help="Check and count in emulation, on its own board.")
def report(
    folder: str, out: str | None, svg_folder: str | None, data: str | None, measure: bool
) -> None:
    """Show a compiled model on a page of HTML.

    Verdict, network, costs, arena, flash, error by layer and cause, boards, how to reproduce: one
    file, without scripts or anything from elsewhere. The same folder gives the same bytes.
    """
    from mcuq import api
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import progress, say
    from mcuq.errors import McuqError
    from mcuq.files import check_replaceable, write_file, write_folder

    if out is None and svg_folder is None:
        raise McuqError("report", "there is nothing to write", "Pass -o report.html")
    check_paths([data], {"-o": out}, folder, (".html",))
    if svg_folder is not None:
        check_replaceable(Path(svg_folder), _SIGN)
    with progress(f"report {folder}") as tell:
        found = api.report(folder, data=data, measure=measure, progress=tell)
    if out is not None:
        write_file(Path(out), found.html.encode())
        say(f"{out} written")
    if svg_folder is not None:
        files = {f"{name}.svg": f"{svg}\n".encode() for name, svg in found.pictures.items()}
        write_folder(Path(svg_folder), files, _SIGN)
        say(f"{svg_folder}: {', '.join(files)}")
