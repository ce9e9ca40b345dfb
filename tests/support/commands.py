"""Commands of mcuq, run within the tests' own process: it starts no other one."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from mcuq.__main__ import main


@dataclass(frozen=True)
class Done:
    """How a command ended and what it printed."""

    returncode: object
    stdout: str
    stderr: str


def run(*words: object, cwd: Path | None = None, **environment: str) -> Done:
    """``mcuq`` with these arguments, in ``cwd`` or where the tests are, to no terminal."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with (
            contextlib.chdir(cwd) if cwd else contextlib.nullcontext(),
            patch.object(sys, "argv", ["mcuq", *map(str, words)]),
            patch.dict(os.environ, environment),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            main()
            code: object = 0
    except SystemExit as ended:
        code = ended.code or 0
    return Done(code, out.getvalue(), err.getvalue())
