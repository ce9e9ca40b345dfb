"""A compiled model as a package of an ecosystem, written as a folder or as one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mcuq.emit.packages import About, Ecosystem, archive_name, ecosystem, package
from mcuq.errors import McuqError
from mcuq.files import MARK, check_replaceable, write_file, write_folder
from mcuq.files.archive import archive
from mcuq.model.compiled import Compiled

# Every package has this one.
_SIGN = "README.md"
_ARCHIVES = (".zip", ".pack")
_OTHERS = (".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zst")


@dataclass(frozen=True)
class Exported:
    """What was written: the package's name, what it says of itself, and the paths of its files."""

    to: str
    title: str
    name: str
    about: About
    place: Path
    files: tuple[str, ...]


def export(compiled: Compiled, to: str, out: str | Path, about: About | None = None) -> Exported:
    """Write the package of ecosystem ``to`` into ``out``: all of it, or nothing.

    A name that ends with .zip, of a CMSIS-Pack with .pack, is one file; any other a folder, in
    which mcuq replaces only what it wrote.
    """
    if compiled.blob is not None:
        reason = "has its weights in a blob, whose place a package does not know"
        raise McuqError(compiled.bundle.id, reason, "Compile it with --weights c")
    kind, said, place = ecosystem(to), about or About(), Path(out)
    check_place(to, place)
    files = package(kind, compiled.files, compiled.facts, said)
    content = {name: text.encode() for name, text in files.items()}
    if place.suffix in _ARCHIVES:
        _check_name(place, archive_name(kind, compiled.facts, said), kind)
        top = f"{compiled.bundle.id}/" if kind.nested else ""
        write_file(place, archive({f"{top}{name}": data for name, data in content.items()}))
    else:
        write_folder(place, content, _SIGN)
    return Exported(to, kind.title, compiled.bundle.id, said, place, tuple(sorted(files)))


def check_place(to: str, place: Path) -> None:
    """Refuse a place where a package cannot be written: before any work."""
    suffix = Path(ecosystem(to).archive).suffix
    if place.suffix in (*_ARCHIVES, *_OTHERS):
        if place.suffix != suffix:
            raise McuqError(
                str(place), f"is no name of a package for {to}", f"End it with {suffix}"
            )
        return
    if (place / MARK).exists():
        raise McuqError(str(place), "is a compiled folder", "Choose another folder with -o")
    check_replaceable(place, _SIGN)


def _check_name(place: Path, name: str, kind: Ecosystem) -> None:
    """Tools read what a .pack is from its name."""
    if not kind.nested and place.name != name:
        raise McuqError(str(place), "is not what tools call this pack", f"Name it '{name}'")
