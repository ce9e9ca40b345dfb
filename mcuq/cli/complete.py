"""What a shell offers behind --board: the names of boards and cores, and .toml files."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


def complete_board(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The boards and cores that begin like ``incomplete``, then the files that could be meant."""
    from mcuq.targets.boards import names
    from mcuq.targets.cores import CORES

    known = [name for name in (*names(), *CORES) if name.startswith(incomplete)]
    return [*map(CompletionItem, known), CompletionItem(incomplete, type="file")]
