"""Output folders: whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcuq.folder import MARK, write_folder


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
