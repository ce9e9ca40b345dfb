"""What an interrupted tuning needs to go on: arrays in a file that is replaced in one step."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mcuq.data.stored import arrays_in
from mcuq.errors import DataError
from mcuq.files import read_file, write_file
from mcuq.ir import Array

FORMAT = 2
_MAX_BYTES = 1 << 32
_REMEDY = "Delete it, or name another file"


def save(path: Path, run: str, state: Mapping[str, Array]) -> None:
    """Write ``state`` of the run with the fingerprint ``run``: all of it, or nothing."""
    arrays: dict[str, Any] = {name: np.asarray(value, order="C") for name, value in state.items()}
    arrays |= {"format": FORMAT, "run": run, "digest": _digest(arrays)}
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    write_file(path, stream.getvalue())


def load(path: Path, run: str) -> dict[str, Array] | None:
    """What ``save`` wrote for ``run``; None if there is no file. DataError if it is another's."""
    if not path.exists():
        return None
    try:
        state = arrays_in(read_file(path, _MAX_BYTES), _MAX_BYTES)
    except ValueError as error:
        raise DataError(str(path), "is no checkpoint that can be read", _REMEDY) from error
    own = [str(state.pop(name, "")) for name in ("format", "run", "digest")]
    if own[:2] != [str(FORMAT), run]:
        reason = "is the checkpoint of another network, other data or other settings"
        raise DataError(str(path), reason, _REMEDY)
    if own[2] != _digest(state):
        raise DataError(str(path), "was changed since mcuq wrote it", _REMEDY)
    return {name: array.copy() for name, array in state.items()}  # which tuning writes into


def _digest(state: Mapping[str, Array]) -> str:
    found = hashlib.sha256()
    for name, array in sorted(state.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    return found.hexdigest()
