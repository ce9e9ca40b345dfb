"""The command export: a compiled folder as a package of an ecosystem."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mcuq.flows.export import Exported

# As in emit/packages, which is not imported for --help; a test compares.
_TO = ["arduino", "cmake", "cmsis-pack", "cubeide", "esp-idf", "pico", "platformio", "zephyr"]


@click.command()
@click.argument("folder", type=click.Path())
@click.option("--to", type=click.Choice(_TO), required=True, help="The ecosystem.")
@click.option("--version", help="Of the package. Default: 1.0.0.")
@click.option("--author", help="Of the package. Default: mcuq.")
@click.option("--url", help="Where the package is found.")
@click.option("--json", "json_path", type=click.Path(), help="Write what was exported as JSON.")
@click.option(
    "-o", "--out", required=True, type=click.Path(), help="The folder to write, or FILE.zip, .pack."
)
def export(
    folder: str,
    to: str,
    version: str | None,
    author: str | None,
    url: str | None,
    json_path: str | None,
    out: str,
) -> None:
    """Write a compiled folder as a package of an ecosystem.

    With its metadata, and an example that runs a known input and prints a verdict and the time.
    """
    from mcuq import api
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import say, write_json
    from mcuq.flows.export import check_place

    check_paths([], {"--json": json_path}, folder)
    check_place(to, Path(out))
    given = {"version": version, "author": author, "url": url}
    about = {key: value for key, value in given.items() if value is not None}
    made = api.load(folder).export(to, out, **about)
    write_json(json_path, _facts(made))
    say(f"{out}: {made.title}, {len(made.files)} files; README.md says how to use it")


def _facts(made: Exported) -> dict[str, object]:
    return {
        "to": made.to,
        "name": made.name,
        "version": made.about.version,
        "author": made.about.author,
        "out": str(made.place),
        "files": list(made.files),
    }
