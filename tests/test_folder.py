"""Output folders: whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcuq.errors import McuqError
from mcuq.files import MARK, check_replaceable, write_folder


def test_the_old_folder_comes_back_if_the_exchange_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "out", {MARK: b"old"})
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "out", {MARK: b"new"})
    assert (tmp_path / "out" / MARK).read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_cannot_be_made_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_replaceable(tmp_path / "new" / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(McuqError, match="file' is a file"):
        check_replaceable(tmp_path / "file" / "out")
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)  # root may write anywhere
    with pytest.raises(McuqError, match="is read-only"):
        check_replaceable(tmp_path / "new" / "out")


def test_the_current_folder_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell in it would be left in a folder that is gone."""
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    for folder in (".", "..", tmp_path / "in"):
        with pytest.raises(McuqError, match="the folder that you are in"):
            write_folder(Path(folder), {MARK: b"new"})
    assert list(tmp_path.rglob("*")) == [tmp_path / "in"]
