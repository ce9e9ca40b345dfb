"""What an interrupted tuning needs to go on: arrays in a file that is replaced in one step."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mcuq.data.array_files import UNREADABLE
from mcuq.errors import DataError
from mcuq.files import write_file
from mcuq.ir import Array

FORMAT = 1


def save(path: Path, run: str, state: Mapping[str, Array]) -> None:
    """Write ``state`` of the run with the fingerprint ``run``: all of it, or nothing."""
    arrays: dict[str, Any] = {**state, "format": np.array(FORMAT), "run": np.array(run)}
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    write_file(path, stream.getvalue())


def load(path: Path, run: str) -> dict[str, Array] | None:
    """What ``save`` wrote for ``run``; None if there is no file. DataError if it is another's."""
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            state = {name: file[name] for name in file.files}
        given = str(state.pop("run", "")), int(state.pop("format", 0))
    except UNREADABLE as error:
        raise DataError(str(path), "is no checkpoint that can be read", _REMEDY) from error
    if given != (run, FORMAT):
        reason = "is the checkpoint of another network, other data or other settings"
        raise DataError(str(path), reason, _REMEDY)
    return state


_REMEDY = "Delete it, or name another file"
