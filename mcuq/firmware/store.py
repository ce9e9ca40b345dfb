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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from itertools import pairwise
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
    """What stands for the object of ``source``.

    ``-I`` and ``-include`` flags lead to headers, by absolute path: these count by their text.
    """
    program = Path(shutil.which(compiler) or compiler).resolve()
    stat = program.stat()
    folders = [Path(flag[2:]) for flag in flags if flag.startswith("-I")]
    before = [Path(path) for flag, path in pairwise(flags) if flag == "-include"]
    apart = [flag for flag in flags if not flag.startswith("-I") and Path(flag) not in before]
    aside = [os.environ.get(name, "") for name in _ASIDE]
    words = [str(program), str(stat.st_size), str(stat.st_mtime_ns), *apart, *aside, source.name]
    found = hashlib.sha256("\0".join(words).encode())
    for path, content in _texts([*before, source], folders):
        found.update(f"\0{path.name}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


def _texts(sources: Sequence[Path], folders: Sequence[Path]) -> Iterator[tuple[Path, bytes]]:
    """The sources and the headers that they may include, whatever their macros say.

    A header whose name is a macro may be any that lies in ``folders``. In a fixed order.
    """
    listed = {folder: sorted(_files(folder)) for folder in folders}
    known = {name: folder / name for folder in reversed(folders) for name in listed[folder]}
    headers = [folder / n for folder in folders for n in listed[folder] if n.endswith(".h")]
    waiting, seen = [*sources], {*sources}
    while waiting:
        path = waiting.pop()
        content = path.read_bytes()
        yield path, content
        found: list[Path] = []
        for name in _included(content):
            found += headers if name is None else _lookup(name, path.parent, folders, known)
        fresh = [header for header in dict.fromkeys(found) if header not in seen]
        seen.update(fresh)
        waiting += fresh


@lru_cache(maxsize=512)
def _included(content: bytes) -> tuple[str | None, ...]:
    """The names between quotes that a text includes; None for one that a macro names."""
    found = _INCLUDE.finditer(content)
    return tuple(os.fsdecode(m[2]) if m[2] else None for m in found if m[1] != b"<")


def _files(folder: Path) -> list[str]:
    """The names in ``folder``, none if it cannot be read."""
    with suppress(OSError):
        return os.listdir(folder)
    return []


def _lookup(
    name: str, beside: Path, folders: Sequence[Path], known: Mapping[str, Path]
) -> list[Path]:
    """Where a compiler finds the header ``name`` included by a file ``beside``: one place or none.

    ``known``: by name, what lies in ``folders`` themselves.
    """
    places = [known[name]] if name in known else [folder / name for folder in folders]
    return [place for place in (beside / name, *places) if place.is_file()][:1]


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
