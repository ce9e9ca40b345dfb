"""Files -> one .zip, the same bytes for the same files: no dates, one order, one mode."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

# The earliest that the format knows.
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644 << 16


def archive(files: Mapping[str, bytes]) -> bytes:
    """A zip of ``files`` by path.

    >>> archive({"a": b"1", "b/c": b"2"}) == archive({"b/c": b"2", "a": b"1"})
    True
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in sorted(files.items()):
            row = zipfile.ZipInfo(name, _DATE)
            row.external_attr = _MODE
            row.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(row, data)
    return content.getvalue()
