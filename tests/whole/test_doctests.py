"""What the examples in docstrings say is what comes back."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_examples_in_docstrings() -> None:
    paths = [path for path in sorted((ROOT / "mcuq").rglob("*.py")) if ">>> " in path.read_text()]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    results = {
        name: doctest.testmod(importlib.import_module(name.removesuffix(".__init__")))
        for name in names
    }
    assert sum(result.attempted for result in results.values()) > 100
    assert {name: result.failed for name, result in results.items() if result.failed} == {}
