"""The article's example runs with its stand-in, and its table says what each step gives."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

EXAMPLE = Path(__file__).parents[2] / "examples" / "article.py"


@pytest.fixture
def article(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example, with a narrower network, pruned at once."""
    spec = importlib.util.spec_from_file_location("article", EXAMPLE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "article", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HIDDEN", 16)
    monkeypatch.setattr(module, "STEPS", (0.7,))
    return module


@pytest.mark.emulated
@pytest.mark.slow
def test_it_ends_in_a_table(article: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    article.main(["--rows", "32", "--epochs", "1"])
    shown = capsys.readouterr().out
    rows = dict(re.findall(r"│ (float|quantized|pruned|both) +│([^\n]+)", shown))
    found = {name: re.findall(r"[\d,.]+", row) for name, row in rows.items()}
    assert [len(found[name]) for name in ("float", "quantized", "pruned", "both")] == [2, 4, 2, 4]
    flash = {name: int(row[1].replace(",", "")) for name, row in found.items()}
    assert flash["both"] < flash["quantized"] < flash["float"]
    assert flash["pruned"] < flash["float"]


def test_it_reads_the_files_of_others(article: ModuleType, tmp_path: Path) -> None:
    """Bytes with channels last, reals with channels first; one file, or images and labels."""
    images = np.arange(10 * 32 * 32 * 3).reshape(10, 32, 32, 3).astype(np.uint8)
    classes = np.arange(10)[:, None]
    np.savez(tmp_path / "a.npz", x_train=images, y_train=classes, x_test=images, y_test=classes)
    np.savez(tmp_path / "b.npz", x=images.transpose(0, 3, 1, 2) / 255, y=classes)
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "y.npy", classes)
    whole = article.load(tmp_path / "a.npz", None)
    assert whole.x.shape == whole.x_test.shape == (10, 3, 32, 32)
    assert float(whole.x.max()) == 1.0
    for data in (
        article.load(tmp_path / "b.npz", None),
        article.load(tmp_path / "x.npy", tmp_path / "y.npy"),
    ):
        assert data.y_test.tolist() == [4, 9]
        assert torch.equal(data.x_test, whole.x[[4, 9]])
