"""Where what can be made again is kept between commands."""

from __future__ import annotations

import os
from pathlib import Path

from mcuq.errors import ToolError


def folder() -> Path:
    """The user's cache of mcuq. A relative XDG_CACHE_HOME counts as none, as its rules say."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():
        return given / "mcuq"
    try:
        return Path.home().absolute() / ".cache" / "mcuq"
    except RuntimeError:
        raise ToolError("HOME", "is not known", "Set XDG_CACHE_HOME") from None
