"""How results look on a terminal: tables and progress by rich, plain lines elsewhere."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcuq.draw.html import cell
from mcuq.files import write_file
from mcuq.progress import Progress
from mcuq.schema import finite

# The columns of a log.
_LOG = 200
# Seconds between two lines of progress where there is no terminal.
_PAUSE = 5.0


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table no wider than the terminal; how columns are marked: ``layout``.

    Numbers get commas. What is left out is said below the table.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mcuq.cli.layout import arrange

    console = Console()
    if not console.is_terminal:
        console.width = _LOG  # a log is not cut at 80 columns
    cells = [[cell(value) for value in row] for row in rows]
    made = arrange(columns, cells, console.width)
    # A text, for rich would read a name as markup.
    shown = Table(title=Text(cell(title)) if title else None, title_justify="left")
    for column in made.columns:
        shown.add_column(
            Text(column.heading),
            justify="right" if column.number else "left",
            width=column.width,
        )
    for row in zip(*(column.cells for column in made.columns), strict=True):
        shown.add_row(*(Text(value) for value in row))
    console.print(shown)
    for line in made.below:
        say(line)
    if made.dropped:
        say(f"not shown for want of width: {', '.join(made.dropped)}")


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """A progress bar on a terminal, plain lines elsewhere; both on stderr."""
    from rich import progress as bars
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(title)
        return
    description = bars.TextColumn("{task.description:<44.44}")
    columns = (description, bars.BarColumn(20), bars.TimeElapsedColumn())
    with bars.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda text, done: bar.update(task, description=f"{title}: {text}", completed=done)


def _plain(title: str) -> Progress:
    """A whole line every few seconds: short work leaves nothing in a log."""
    said = time.monotonic()

    def report(text: str, done: float) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= _PAUSE:
            said = now
            say(f"{title}: {done:4.0%} {text}", err=True)

    return report


def say(text: str, err: bool = False) -> None:
    """Print one line; a terminal gets as many as it takes, broken between words.

    What is indented is to be copied, and stays whole.
    """
    import click

    shown = sys.stderr if err else sys.stdout
    if shown.isatty() and not text.startswith(" "):
        width = shutil.get_terminal_size().columns
        text = textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
    click.echo(text, err=err)


def write_json(path: str | None, facts: Any) -> None:
    """Write ``facts`` to ``path`` if one was given."""
    if path is not None:
        write_file(Path(path), to_json(facts))


def to_json(facts: Any) -> bytes:
    """``facts`` as the bytes of a file."""
    return (json.dumps(finite(facts), indent=2) + "\n").encode()
