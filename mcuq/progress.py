"""How long work tells what it is doing."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with the stage's name and the share done, 0..1."""


def silent(text: str, fraction: float) -> None:
    """Report nothing."""
