"""The pages that are made from the code: ``python docs/generate.py``, which ``make docs`` runs.

``report.md`` is in the repository; ``tests/whole/test_docs.py`` fails where it is not what the code
says. The others, which grow with every operator and option, are made with the site.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import click

from mcuq.cli import cli
from mcuq.measure.supported import supported
from mcuq.model.report import Report
from mcuq.schema.records import described

DOCS = Path(__file__).parent

COMMANDS = """# Command line

What `mcuq COMMAND --help` says. Exit status 0: done; 1: the model, the data or the board is at
fault, with one line that says what to do, or a limit is broken; 2: the command was called wrongly;
70: a fault of mcuq's own."""

OPERATORS = """# Operators

What `mcuq ops` lists. An operator without kernels becomes others before it runs.

| operator | from ONNX | from TensorFlow Lite | kernels | limits |
|---|---|---|--:|---|
"""

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


def command_line() -> str:
    """Every command with its options, as ``--help`` has them."""
    parts = [COMMANDS]
    for name, command in cli.commands.items():
        context = click.Context(command, info_name=f"mcuq {name}")
        usage = " ".join([f"mcuq {name}", *command.collect_usage_pieces(context)])
        parts += [f"## mcuq {name}", f"```text\n{usage}\n```", _filled(command.help or "")]
        rows = [found for p in command.params if (found := p.get_help_record(context)) and found[1]]
        if rows:
            parts.append("| option | |\n|---|---|\n" + "\n".join(_option(*row) for row in rows))
    return "\n\n".join(parts) + "\n"


def _option(names: str, text: str) -> str:
    return f"| `{_cell(names)}` | {_cell(text)} |"


def _filled(text: str) -> str:
    return inspect.cleandoc(text).replace("\b\n", "")


def operators() -> str:
    """The table of ``mcuq ops``."""
    rows = [
        f"| `{op.name}` | {', '.join(op.onnx)} | {', '.join(op.tflite)} | {op.kernels or ''} | "
        f"{_cell(op.limits)} |"
        for op in supported()
    ]
    return OPERATORS + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    """Text in a table, where some signs would be read as HTML or as columns."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


PAGES = {
    "report.md": report,
    "reference/cli.md": command_line,
    "reference/operators.md": operators,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
