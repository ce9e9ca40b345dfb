"""The tools of package ecosystems that are Python programs, in an environment of their own.

``make test`` makes it; what they need and what mcuq needs does not meet there.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parents[2] / ".venv-packages" / "bin"


def find(program: str) -> Path:
    """A program of that environment; a test that needs it fails where it is missing."""
    path = _FOLDER / program
    assert path.exists(), f"no {path}: run 'make packages'"
    return path
