"""What mcuq itself has stored in an ``.npz``, read whole; the file may be somebody else's."""

from __future__ import annotations

import io
import math
import warnings
import zipfile

import numpy as np

from mcuq.ir import Array


def arrays_in(content: bytes, most: int) -> dict[str, Array]:
    """The arrays by name, of at most ``most`` bytes together; ValueError for anything else.

    Sizes are checked before anything is unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _arrays(archive, most)
    except Exception as error:  # zipfile, zlib and numpy raise many kinds: the file is at fault
        raise ValueError(str(error)) from error


def _arrays(archive: zipfile.ZipFile, most: int) -> dict[str, Array]:
    if sum(info.file_size for info in archive.infolist()) > most:
        raise ValueError(f"it unpacks to more than {most >> 30} GB")
    found = {}
    for info in archive.infolist():
        with archive.open(info) as member:  # read() of all would unpack whatever is there first
            content = member.read(info.file_size + 1)
        found[info.filename.removesuffix(".npy")] = _array(content)
    return found


def _array(content: bytes) -> Array:
    """The array of an .npy file; its header may not promise more than there is."""
    stream = io.BytesIO(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError("an array of another version")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    rest = content[stream.tell() :]
    if fortran or dtype.hasobject or math.prod(shape) * dtype.itemsize != len(rest):
        raise ValueError("an array whose data does not fill its shape")
    return np.frombuffer(rest, dtype).reshape(shape)
