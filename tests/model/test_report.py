"""The report: one record, read back as it was written, and every field of it documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mcuq.config import Config
from mcuq.flows.compile import compile_model
from mcuq.measure.explain import explain
from mcuq.model import report
from mcuq.model.compiled import Compiled, load_compiled
from mcuq.model.report import Report
from mcuq.schema import Misfit
from mcuq.schema.records import described, plain, read

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"
BOARD = "nucleo_f446re"


@cache
def compiled(bits: int | str = 8, board: str = BOARD, compress: str | None = None) -> Compiled:
    rows = np.random.default_rng(3).uniform(0, 1, (40, 1, 8, 8)).astype(np.float32)
    settings = Config(quantize={"effort": "fast", "bits": bits})
    return compile_model(DIGITS, calibration=rows, board=board, config=settings, compress=compress)


@cache
def whole() -> Report:
    """A report with nearly everything that one may hold."""
    made = compiled(compress="cluster:4bit")
    return replace(made.report, explain=explain(made.bundle).facts)


@pytest.mark.parametrize(
    "made",
    [
        lambda: whole(),
        lambda: compiled("mixed").report,
        lambda: compiled(board=f"{BOARD},microbit").report,
    ],
    ids=["all", "mixed", "family"],
)
def test_it_is_read_as_it_was_written(made) -> None:
    text = report.to_json(made())
    assert report.from_json(text) == made()
    assert report.to_json(report.from_json(text)) == text


def test_a_folder_gives_back_its_report(tmp_path: Path) -> None:
    made = compiled()
    assert load_compiled(made.write(tmp_path / "out")).report == made.report
    assert report.load(tmp_path / "out") == made.report


def places(value: object, place: str = "") -> Iterator[str]:
    """Where something stands in JSON, as the documentation writes it."""
    items = value.items() if isinstance(value, dict) else ()
    for key, item in items:
        yield f"{place}{key}"
        for one in item if isinstance(item, list) else [item]:
            yield from places(one, f"{place}{key}{'[]' * isinstance(item, list)}.")


def test_every_key_is_documented() -> None:
    known = {field.place: field for field in described(Report)}
    assert all(field.text for field in known.values())
    found = set()
    for made in (whole(), compiled("mixed").report, compiled(board=f"{BOARD},microbit").report):
        for place in places(json.loads(report.to_json(made))):
            found.add(
                place.replace(f"boards.{BOARD}", "boards.NAME").replace(
                    "boards.microbit", "boards.NAME"
                )
            )
    by_name = {"slower_than_own.", "explain.layers[].share_of_noise."}
    found = {place for place in found if not place.startswith(tuple(by_name))} - {"boards.NAME"}
    assert found <= set(known)
    elsewhere = ("quantized_model", "weights", "stream")
    assert {place for place in known if not place.startswith(elsewhere)} <= found


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("arena",), -1, "arena is -1, not an integer in 0.."),
        (("arena",), None, "arena is nothing"),
        (("steps", 0, "kernel"), 3, r"steps\[0\]\.kernel is 3, not a text"),
        (("inputs", 0, "scale"), ["a"], r"inputs\[0\]\.scale\[0\] is 'a', not a number"),
        (("boards", BOARD, "flash"), 1.5, f"boards.'{BOARD}'.flash is 1.5"),
        (("judged", "held_out"), 1, "judged.held_out is 1, not true or false"),
        (("judged", "rows"), True, "judged.rows is True"),
        (("more",), 1, "key is 'more', not one of mcuq, name"),
        (("explain", "fixes"), {}, "explain.fixes is a table, not a list"),
    ],
)
def test_what_does_not_fit_is_named(path: tuple[str | int, ...], value: object, words: str) -> None:
    facts = json.loads(report.to_json(whole()))
    *way, last = path
    inner = facts
    for key in way:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(Misfit, match=words):
        read(Report, facts)


def test_the_lines_for_a_terminal() -> None:
    lines = list(report.to_text(compiled().report))
    assert lines[0].startswith("output SQNR ")
    assert lines[1].endswith(f"(no plan needs less than {compiled().report.arena_lower_bound:,} B)")
    assert lines[-1].startswith(f"fits {BOARD}: about ")


def test_numbers_that_json_does_not_know_are_null() -> None:
    assert plain((1.5, float("inf"), float("nan"))) == [1.5, None, None]
