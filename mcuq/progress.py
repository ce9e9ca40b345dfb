"""How long work tells what it is doing."""

from __future__ import annotations

import sys
from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with the stage's name and the share done, 0..1."""


def silent(text: str, fraction: float) -> None:
    """Report nothing."""


def usual(text: str, fraction: float) -> None:
    """In a notebook one line that is written over, elsewhere nothing."""
    if in_notebook():
        sys.stderr.write(f"\r{fraction:4.0%} {text:<60.60}")
        sys.stderr.flush()


def in_notebook() -> bool:
    """Whether a kernel of Jupyter runs this."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
