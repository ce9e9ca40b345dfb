"""What an interrupted tuning needs to go on: arrays in a file that is replaced in one step."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mcuq.errors import DataError, McuqError
from mcuq.ir import Array

FORMAT = 1


def save(path: Path, run: str, state: Mapping[str, Array]) -> None:
    """Write ``state`` of the run with the fingerprint ``run``: all of it, or nothing."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            arrays: dict[str, Any] = {**state, "format": np.array(FORMAT), "run": np.array(run)}
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise McuqError(str(path), f"cannot be written ({error.strerror})") from error


def load(path: Path, run: str) -> dict[str, Array] | None:
    """What ``save`` wrote for ``run``; None if there is no file. DataError if it is another's."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            state = {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(str(path), "is no checkpoint that can be read", _REMEDY) from error
    if str(state.pop("run", "")) != run or int(state.pop("format", 0)) != FORMAT:
        reason = "is the checkpoint of another network, other data or other settings"
        raise DataError(str(path), reason, _REMEDY)
    return state


_REMEDY = "Delete it, or name another file"
