"""Files of arrays, ``.npz`` and ``.npy``: read when asked for, their sizes checked first.

``FILE.npz:ARRAY`` picks one array. Nothing is ever unpickled.
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from mcuq import capacity
from mcuq.errors import DataError, closest
from mcuq.ir import Array, Shape


def read(ref: str | Path) -> tuple[Mapping[str, Array], str | None]:
    """The arrays of a file by name (the only one of a .npy is ``x``), and the one picked."""
    path, picked = _split(str(ref))
    arrays = _read_file(path)
    if picked is not None and picked not in arrays:
        raise no_such_array(path, picked, arrays)
    return arrays, picked


def shapes_of(given: str | Path | Array | Mapping[str, Array]) -> dict[str, Shape]:
    """The shapes of the arrays of calibration data, by name; of a picked one as ``x``.

    Of a file only the headers are read; one that cannot be read has none, and is refused later.
    """
    if not isinstance(given, (str, Path)):
        named = given if isinstance(given, Mapping) else {"x": given}
        return {name: np.shape(values) for name, values in named.items()}
    path, picked = _split(str(given))
    try:
        shapes = _headers(path) if path.is_file() else {}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError):
        return {}
    return shapes if picked is None else {"x": shapes[picked]} if picked in shapes else {}


def file_of(ref: str | Path) -> Path:
    """The file that ``FILE`` or ``FILE.npz:ARRAY`` names."""
    return _split(str(ref))[0]


def no_such_array(path: Path, name: str, arrays: Mapping[str, Array]) -> DataError:
    meant = closest(name, arrays, "")
    hint = f"{meant}? " if meant else ""
    return DataError(str(path), f"no array '{name}'", f"{hint}It holds {listed(arrays)}")


def listed(arrays: Mapping[str, Array]) -> str:
    names = [f"{n} {_shape(arrays, n)}" for n in sorted(arrays)]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def check_numeric(ref: str | Path, arrays: Mapping[str, Array], names: Sequence[str]) -> None:
    """Refuse what ``read`` left out if it is called one of ``names``."""
    for name in names:
        if isinstance(arrays, _Archive) and arrays.holds_objects(name):
            raise DataError(str(ref), f"'{name}' holds Python objects", "Save plain numbers")


def _shape(arrays: Mapping[str, Array], name: str) -> tuple[int, ...]:
    return arrays.shape(name) if isinstance(arrays, _Archive) else arrays[name].shape


def _split(ref: str) -> tuple[Path, str | None]:
    head, colon, name = ref.rpartition(":")
    if colon and not Path(ref).exists() and head.lower().endswith((".npz", ".npy")):
        return Path(head), name
    return Path(ref), None


def _headers(path: Path) -> dict[str, Shape]:
    with path.open("rb") as stream:
        if not zipfile.is_zipfile(stream):
            stream.seek(0)
            return {"x": _header_of(stream)[0]}
        shapes = {}
        with zipfile.ZipFile(stream) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    shapes[name.removesuffix(".npy")] = _header_of(member)[0]
        return shapes


def _read_file(path: Path) -> Mapping[str, Array]:
    if not path.is_file():
        other = "is no regular file" if path.exists() else "no such file"
        reason = "is a folder" if path.is_dir() else other
        raise DataError(str(path), reason, "Give a .npz or .npy file")
    with _faults(path), path.open("rb") as stream:
        if stream.read(2) != b"PK":
            stream.seek(0)
            return {"x": _array(path, stream)}
    with _faults(path), zipfile.ZipFile(path) as archive:
        names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
    arrays = _Archive(path, names)
    if not arrays:
        raise DataError(str(path), "holds no numeric array", "Save one with np.savez(x=...)")
    return arrays


class _Archive(Mapping[str, Array]):
    """The numeric arrays of a ``.npz`` file, each read when it is asked for.

    One of objects is left out, for only a reader of it is at fault.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._path, self._read = path, dict[str, Array]()
        self._headers = {name: self._header(name) for name in names}

    def __getitem__(self, name: str) -> Array:
        if self._headers[name][1].hasobject:
            raise KeyError(name)
        if name not in self._read:
            with self._opened(name) as stream:
                self._read[name] = _array(self._path, stream)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, (_, dtype) in self._headers.items() if not dtype.hasobject)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._headers[name][0]

    def holds_objects(self, name: str) -> bool:
        """Whether the file has an array of this name that is left out."""
        return name in self._headers and self._headers[name][1].hasobject

    def _header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        with self._opened(name) as stream:
            return _header_of(stream)

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        with (
            _faults(self._path),
            zipfile.ZipFile(self._path) as archive,
            archive.open(f"{name}.npy") as stream,
        ):
            yield stream


_UNREADABLE = (OSError, ValueError, EOFError, KeyError, TypeError, SyntaxError, RecursionError,
              zipfile.BadZipFile, zlib.error, tokenize.TokenError)  # fmt: skip
"""What reading a damaged array may raise: zipfile's, zlib's, and those of numpy, which takes the
header of an array for Python."""


def _header_of(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and type that an array's file states."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"version {version}")
    return tuple(shape), dtype


def _array(path: Path, stream: IO[bytes]) -> Array:
    """The array in ``stream``, its size checked before it is taken."""
    shape, _ = _header_of(stream)
    most = capacity.DATA_ROWS * capacity.most_elements()
    if prod(shape) > most:
        reason = f"an array of shape {shape} has more than {most} elements"
        raise DataError(str(path), reason, capacity.remedy("Give fewer rows"))
    stream.seek(0)
    return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """What numpy, zipfile and zlib raise, as one line."""
    try:
        yield
    except _UNREADABLE as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # of opening the file, not of what it holds
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    if any(word in str(error) for word in ("pickle", "magic string is not")):
        reason = "is not a NumPy file, or holds Python objects"
        return DataError(str(path), reason, "Save plain numbers with np.save or np.savez")
    reason = f"cannot be read ({type(error).__name__}), is it truncated?"
    return DataError(str(path), reason.rstrip("?"), "Save it again with np.save or np.savez")
