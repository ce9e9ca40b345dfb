"""The pages that are made from the code: ``python docs/generate.py``, which ``make docs`` runs.

``report.md`` is in the repository; ``tests/docs/test_docs.py`` fails where it is not what the code
says. The others, which grow with every operator and option, are made with the site.
"""

from __future__ import annotations

import html
import inspect
import re
import shutil
from pathlib import Path

import click

from mcuq.cli import cli
from mcuq.measure.supported import Supported, supported
from mcuq.model.report import Report
from mcuq.schema.records import described

DOCS = Path(__file__).parent

COMMANDS = """# Command line

What `mcuq COMMAND --help` says. Exit status 0: done; 1: the model, the data or the board is at
fault, with one line that says what to do, or a limit is broken; 2: the command was called wrongly;
70: a fault of mcuq's own.

The shell completes commands, options, boards and cores after one of these, in its start file:

```text
eval "$(_MCUQ_COMPLETE=bash_source mcuq)"            # ~/.bashrc
eval "$(_MCUQ_COMPLETE=zsh_source mcuq)"             # ~/.zshrc
_MCUQ_COMPLETE=fish_source mcuq | source             # ~/.config/fish/completions/mcuq.fish
```"""

OPERATORS = """# Operators

What `mcuq ops` lists: from which nodes an operator comes, how many kernels run it, and its limits.
One without kernels becomes others before it runs.
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
    """A row; the name of an option stays whole where a column is narrow."""
    shown = re.sub(
        r"(?<![\w-])--?[a-z][\w-]*", r'<span class="whole">\g<0></span>', html.escape(names)
    )
    return f"| <code>{shown.replace('|', '&#124;')}</code> | {_cell(text)} |"


def _filled(text: str) -> str:
    return inspect.cleandoc(text).replace("\b\n", "")


def operators() -> str:
    """What ``mcuq ops`` lists, a section each."""
    return OPERATORS + "".join(_operator(op) for op in supported())


def _operator(op: Supported) -> str:
    """Where it comes from, its kernels, and what it takes."""
    sources = (("ONNX", op.onnx), ("TensorFlow Lite", op.tflite))
    named = [f"{name}: {', '.join(nodes)}" for name, nodes in sources if nodes]
    facts = [*(named or ["Made by mcuq"]), *([f"kernels: {op.kernels}"] if op.kernels else [])]
    limits = f"\n{_text(op.limits).removesuffix('.')}.\n" if op.limits else ""
    return f"\n## {op.name}\n\n{'; '.join(facts)}.\n{limits}"


def _cell(text: str) -> str:
    """Text in a table, where a sign would be read as the end of a column."""
    return _text(text).replace("|", "\\|").replace("\n", " ")


def _text(text: str) -> str:
    """Words in which some signs would be read as HTML or as links."""
    return text.replace("<", "&lt;").replace("[", "\\[")


PAGES = {
    "report.md": report,
    "reference/cli.md": command_line,
    "reference/operators.md": operators,
}


def write(folder: Path) -> None:
    """Every page, and the network that the first one offers."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")
    shutil.copy(DOCS.parent / "examples" / "digits.onnx", folder)


if __name__ == "__main__":
    write(DOCS)
