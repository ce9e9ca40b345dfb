"""The pages that are made from the code: ``python docs/generate.py`` writes them anew.

``tests/whole/test_docs.py`` fails where one is not what the code says.
"""

from __future__ import annotations

from pathlib import Path

from mcuq.model.report import Report
from mcuq.schema.records import described

DOCS = Path(__file__).parent

REPORT = """# report.json

`mcuq compile` writes `report.json` beside the C: all that is known of the model without building
it. `mcuq explain` adds `explain`. In Python it is `model.report`, a record with the same fields.
Sizes are bytes. `steps[].name` means: of each entry of the list `steps`; `boards.NAME.flash`: of
each board, by its name. Fields marked * are missing where there is nothing to say.

| field | type | what it holds |
|---|---|---|
"""


def report() -> str:
    """The schema of ``report.json``, field by field."""
    rows = [
        f"| `{field.place}`{' *' if field.optional else ''} | {field.kind} | {field.text} |"
        for field in described(Report)
    ]
    return REPORT + "\n".join(rows) + "\n"


PAGES = {"report.md": report}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
