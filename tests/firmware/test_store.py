"""Objects that an earlier command compiled are found again, and only where they are the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mcuq.firmware import image, store, toolchain


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mcuq" / "objects"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "one.h").write_text('#include "two.h"\n#include <stdint.h>\n')
    (tmp_path / "in" / "two.h").write_text("#define TWO 2\n")
    path = tmp_path / "a.c"
    path.write_text('  # include "one.h"\nint a(void) { return TWO; }\n')
    return path


def flags(source: Path, *more: str) -> list[str]:
    return ["-O2", f"-I{source.parent / 'in'}", *more]


def made(source: Path, *more: str) -> tuple[Path, list[str]]:
    """The object of ``source`` in a new folder, and the compilers that were started for it."""
    called: list[str] = []
    real = toolchain.call

    def noted(argv: list[str | Path], *rest: object, **named: object) -> str:
        called.append(str(argv[0]))
        return real(argv, *rest, **named)  # type: ignore[arg-type]

    folder = source.parent / f"out{len(list(source.parent.glob('out*')))}"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toolchain, "call", noted)
        unit = image._Unit(source, (*flags(source, *more), "-fstack-usage"))
        return image._object(image._Target("gcc", (), folder), folder, unit), called


def test_a_second_command_starts_no_compiler(source: Path) -> None:
    first, called = made(source)
    assert called == ["gcc"]
    second, called = made(source)
    assert called == []
    assert first.parent != second.parent
    for suffix in (".o", ".su"):
        assert second.with_suffix(suffix).read_bytes() == first.with_suffix(suffix).read_bytes()


def test_what_goes_into_an_object_is_in_its_digest(source: Path) -> None:
    def digest(*more: str) -> str:
        return store.digest("gcc", flags(source, *more), source)

    found = [digest(), digest("-DA"), store.digest("clang", flags(source), source)]
    (source.parent / "in" / "two.h").write_text("#define TWO 3\n")
    found.append(digest())
    (source.parent / "in" / "two.h").write_text("#define TWO 2\n")
    (source.parent / "two.h").write_text("#define TWO 3\n")  # not where one.h lies
    assert digest() == found[0]
    (source.parent / "one.h").write_text("#define TWO 3\n")  # beside the source: it comes first
    found.append(digest())
    source.write_text("int a(void) { return 2; }\n")
    found.append(digest())
    assert len(set(found)) == len(found)


def test_a_header_before_the_source_counts_by_its_text(source: Path, tmp_path: Path) -> None:
    def digest(folder: str, text: str) -> str:
        header = tmp_path / folder / "before.h"
        header.parent.mkdir(exist_ok=True)
        header.write_text(text)
        return store.digest("gcc", flags(source, "-include", str(header)), source)

    assert digest("a", "int b;\n") == digest("b", "int b;\n") != digest("a", "int c;\n")


def test_a_header_named_by_a_macro_may_be_any(source: Path) -> None:
    source.write_text("#include NAME\nint a;\n")
    before = store.digest("gcc", flags(source), source)
    (source.parent / "in" / "two.h").write_text("#define TWO 3\n")
    assert store.digest("gcc", flags(source), source) != before


@pytest.mark.parametrize("damage", [b"", b"PK", None])
def test_what_is_damaged_is_compiled_again(source: Path, cache: Path, damage: bytes | None) -> None:
    first, _ = made(source)
    (kept,) = cache.iterdir()
    good = kept.read_bytes()
    middle = len(good) // 2
    flipped = good[:middle] + bytes([good[middle] ^ 255]) + good[middle + 1 :]
    kept.write_bytes(flipped if damage is None else damage)
    second, called = made(source)
    assert called == ["gcc"]
    assert second.read_bytes() == first.read_bytes()
    assert made(source)[1] == []


def test_without_a_cache_all_is_compiled(source: Path, cache: Path) -> None:
    cache.parent.parent.write_bytes(b"")
    assert made(source)[1] == ["gcc"]
    assert made(source)[1] == ["gcc"]


def test_the_longest_unused_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "KEPT_BYTES", 10)
    paths = [tmp_path / f"{index}.zip" for index in range(4)]
    for index, path in enumerate(paths):
        path.write_bytes(b"1234")
        os.utime(path, (index, index))
    os.utime(paths[0], (9, 9))
    store.prune(tmp_path)
    assert [path.exists() for path in paths] == [True, False, False, True]
