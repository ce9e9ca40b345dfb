"""Objects by what goes into them: one is compiled once, and found again by later commands.

The digest of an object stands for the compiler, its flags, and the text of the source and of all
headers that it may include; not for where these lie. Beside the object a compiler may write what
it knows of the stack (``BESIDE``), which is kept with it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from mcuq.errors import McuqError
from mcuq.files import cache, write_file

BESIDE = (".ci", ".su")
KEPT_BYTES = 200_000_000
"""What is kept beyond this goes, the longest unused first."""

_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*("([^"\n]+)"|<|.)', re.MULTILINE)
# What tells a compiler of headers and programs beside its command line.
_ASIDE = ("CPATH", "C_INCLUDE_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX")


def digest(compiler: str, flags: Sequence[str], source: Path) -> str:
    """What stands for the object of ``source``; ``-I`` flags lead to headers, by absolute path."""
    program = Path(shutil.which(compiler) or compiler).resolve()
    stat = program.stat()
    apart = [flag for flag in flags if not flag.startswith("-I")]
    aside = [os.environ.get(name, "") for name in _ASIDE]
    words = [str(program), str(stat.st_size), str(stat.st_mtime_ns), *apart, *aside, source.name]
    found = hashlib.sha256("\0".join(words).encode())
    for path in _texts(source, [Path(flag[2:]) for flag in flags if flag.startswith("-I")]):
        content = path.read_bytes()
        found.update(f"\0{path.name}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


def _texts(source: Path, folders: Sequence[Path]) -> Iterator[Path]:
    """The source and the headers that it may include, whatever its macros say, in a fixed order.

    A header whose name is a macro may be any that lies in ``folders``.
    """
    waiting, seen = [source], {source}
    while waiting:
        path = waiting.pop()
        yield path
        found: list[Path] = []
        for match in _INCLUDE.finditer(path.read_bytes()):
            if match[2]:
                places = [place / os.fsdecode(match[2]) for place in (path.parent, *folders)]
                found += [place for place in places if place.is_file()][:1]
            elif match[1] != b"<":
                found += sorted(header for folder in folders for header in folder.glob("*.h"))
        fresh = [header for header in dict.fromkeys(found) if header not in seen]
        seen.update(fresh)
        waiting += fresh


def fetch(key: str, path: Path) -> bool:
    """Write the object called ``key`` to ``path``, and what lies beside it, if it is kept."""
    with suppress(OSError, McuqError, zipfile.BadZipFile, KeyError):
        kept = _place(key)
        with zipfile.ZipFile(kept) as archive:
            parts = {suffix: archive.read(suffix) for suffix in archive.namelist()}
        os.utime(kept)
        for suffix in (*BESIDE, ".o"):
            if suffix in parts:
                path.with_suffix(suffix).write_bytes(parts[suffix])
        return ".o" in parts
    return False


def keep(key: str, path: Path) -> None:
    """Keep the object at ``path`` for other commands; a cache that cannot be written keeps none."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for part in (path.with_suffix(suffix) for suffix in (".o", *BESIDE)):
            if part.is_file():
                archive.writestr(part.suffix, part.read_bytes())
    with suppress(OSError, McuqError):
        place = _place(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_file(place, buffer.getvalue())
        if key.startswith("00"):  # now and then
            prune(place.parent)


def prune(folder: Path) -> None:
    """Remove what was not used for longest, as much as lies beyond ``KEPT_BYTES``."""
    stats = [(path, path.stat()) for path in folder.iterdir()]
    total = 0
    for path, stat in sorted(stats, key=lambda one: -one[1].st_mtime_ns):
        total += stat.st_size
        if total > KEPT_BYTES:
            path.unlink(missing_ok=True)


def _place(key: str) -> Path:
    return cache.folder() / "objects" / f"{key}.zip"
