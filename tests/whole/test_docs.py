"""The documentation: pages that are made from the code are what it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", generator().PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    remedy = "run 'python docs/generate.py'"
    assert (DOCS / name).read_text(encoding="utf-8") == generator().PAGES[name](), remedy
