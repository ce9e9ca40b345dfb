"""Commands for continuous integration: verify, diff and sbom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("folder", type=click.Path())
@click.option("--max-flash", metavar="SIZE", help="Weights, constants and code, as 64K.")
@click.option("--max-ram", metavar="SIZE", help="Arena and statics, as 16K.")
@click.option("--max-stack", metavar="SIZE", help="The proven worst case, as 1K.")
@click.option("--max-instructions", type=int, metavar="N", help="Of one inference.")
@click.option("--min-accuracy", type=float, metavar="PERCENT", help="Needs --data with classes y.")
@click.option("--min-sqnr", type=float, metavar="DB", help="Of the output against float.")
@click.option("--board", help="Default: the board that the model was compiled for.")
@click.option("--data", help="FILE.npz with arrays x and, if known, y.")
@click.option("--baseline", type=click.Path(), help="Another FOLDER, or the --json of one.")
@click.option("--config", "config_path", type=click.Path(), help="With a [verify] table.")
@click.option("--junit", type=click.Path(), help="Write the gates as JUnit XML.")
@click.option("--json", "json_path", type=click.Path(), help="Write what was measured as JSON.")
def verify(
    folder: str,
    board: str | None,
    data: str | None,
    baseline: str | None,
    config_path: str | None,
    junit: str | None,
    json_path: str | None,
    **given: Any,
) -> None:
    """Hold a compiled model against limits, for CI.

    Measures in emulation what check and eval measure. Exits 1 with a line for each limit that is
    broken. With --baseline nothing may be worse than there. Limits on the command line take the
    place of those in the configuration.
    """
    from mcuq import api
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import progress, say, write_json
    from mcuq.files import write_file

    check_paths([data, board, config_path], {"--junit": junit, "--json": json_path}, folder)
    limits = _limits(config_path, given)
    with progress(f"verify {folder}") as report:
        found = api.verify(
            folder, board=board, data=data, baseline=baseline, progress=report, **limits
        )
    write_json(json_path, found.to_json())
    if junit is not None:
        write_file(Path(junit), found.to_junit())
    if not found.broken:
        _show_gates(found)
    for gate in found.broken:
        say(gate.line, err=True)
    raise SystemExit(1 if found.broken else 0)


def _limits(config_path: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the configuration says, and in its place what the options say."""
    from mcuq import config

    settings = config.load(Path(config_path)) if config_path else config.Config()
    return asdict(settings.verify) | {k: value for k, value in given.items() if value is not None}


def _show_gates(found: Any) -> None:
    from mcuq.cli.show import table
    from mcuq.flows.verify import text_of

    rows = [
        (gate.what, text_of(gate.what, gate.measured), text_of(gate.what, gate.limit), gate.by)
        for gate in found.gates
    ]
    board = found.measured.board
    title = f"{found.name} on {board}" if board else found.name
    table(title, ("what", "#measured", "#limit", "from"), rows)


@click.command()
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@click.option("--json", "json_path", type=click.Path(), help="Write the differences as JSON.")
def diff(old: str, new: str, json_path: str | None) -> None:
    """Sizes, SQNR and kernels of two compiled folders.

    Reads their reports alone: folders of other versions of mcuq, too. The numbers are those that
    compile states; verify --baseline measures them.
    """
    from mcuq import api
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import say, table, write_json

    for folder in (old, new):
        check_paths([], {"--json": json_path}, folder)
    found = api.diff(old, new)
    rows = [
        (n.what, n.old, n.new, n.by, None if n.percent is None else f"{n.percent:+.1f} %")
        for n in found.numbers
    ]
    table(found.board or "", ("", "#old", "#new", "#by", "?#change"), rows)
    if found.steps:
        steps = [(s.step, s.old or "(none)", s.new or "(none)") for s in found.steps]
        table("", ("step", "!old kernel", "!new kernel"), steps)
    else:
        say("the same kernels run the same steps")
    write_json(json_path, found.to_json())


@click.command()
@click.argument("folder", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="The .json file to write.")
def sbom(folder: str, out: str) -> None:
    """Write a bill of materials: CycloneDX JSON.

    Hashes of the source, the calibration vectors, the generated files and the kernels, and the
    options; no date and no path: the same folder gives the same bytes.
    """
    from mcuq import api
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import say
    from mcuq.files import write_file

    check_paths([], {"-o": out}, folder, (".json",))
    write_file(Path(out), api.load(folder).sbom())
    say(f"{out} written")
