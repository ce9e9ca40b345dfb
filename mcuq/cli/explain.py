"""The command explain: where the integer network loses accuracy, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mcuq.model.report import Explained


@click.command()
@click.argument("folder", type=click.Path())
@click.option("--data", help="Inputs: FILE.npz or FILE.npy; default: the calibration rows.")
@click.option("--json", "json_path", type=click.Path(), help="Write the result as JSON.")
def explain(folder: str, data: str | None, json_path: str | None) -> None:
    """Show where accuracy is lost, by layer and cause, and the fix.

    Also written into report.json of the folder, as "explain".
    """
    from mcuq import api
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import progress, write_json
    from mcuq.files import check_addable
    from mcuq.schema.records import plain

    check_paths([data], {"--json": json_path}, folder)
    check_addable(Path(folder), ("report.json",))
    made = api.load(folder)
    with progress(f"explain {folder}") as report:
        result = made.explain(data, report)
    _show_layers(result)
    _show_steps(result)
    _show_fixes(result)
    _add_to_report(Path(folder), result.facts)
    write_json(json_path, plain(result.facts))


def _show_layers(result: Any) -> None:
    from mcuq.cli.show import say, table
    from mcuq.measure.explain import CAUSES

    rows = [
        (
            *(x.name, x.op, x.frac, f"{x.sqnr_db:.1f}", f"{x.cosine:.5f}"),
            *(f"{100 * x.clipped:.2g} %", _percent(x.used)),
            *(_percent(result.share(x, cause)) for cause in CAUSES),
        )
        for x in result.layers
    ]
    columns = (
        *("layer", "??op", "?#frac", "#SQNR dB", "??#cosine", "?#clipped", "??#range used"),
        *(f"?#noise: {cause}" for cause in CAUSES),
    )
    table("", columns, rows)
    say(f"output: {result.output_sqnr_db:.2f} dB SQNR over {result.rows} rows")


def _show_steps(result: Any) -> None:
    from mcuq.cli.show import table

    rows = [
        (s.step, s.before_db, s.after_db, "kept" if s.kept else "not kept") for s in result.steps
    ]
    if rows:
        table("", ("step of the quantization", "#dB before", "#dB after", ""), rows)


def _show_fixes(result: Any) -> None:
    """Layers that the same step would help stand on one line."""
    from mcuq.cli.show import say

    for line in result.advice:
        say(f"note: {line}")
    places: dict[str, list[str]] = {}
    for fix in result.fixes:
        gain = "" if fix.gain_db is None else f", +{fix.gain_db:.2f} dB"
        price = f" ({fix.price})" if fix.price else ""
        places.setdefault(f"{fix.text}{gain}{price}", []).append(f"{fix.layer} ({fix.cause})")
    for text, layers in places.items():
        say(f"{', '.join(layers)}: {text}")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _add_to_report(folder: Path, facts: Explained) -> None:
    from dataclasses import replace

    from mcuq.files import add_files
    from mcuq.model.report import FILE, load, to_json

    if (folder / FILE).is_file():
        add_files(folder, {FILE: to_json(replace(load(folder), explain=facts)).encode()})
