"""Headers of the runtime library stand alone; bodies, which an includer completes, say how."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

from kernel_harness import INCLUDES

from mcuq.files import assets

FILES = assets.copied_files()
BODIES = {name: path for name, path in FILES.items() if name.endswith("_body.h")}
HEADERS = {n: path for n, path in FILES.items() if n.endswith(".h") and n not in BODIES}
STANDARD = ("gcc", "-std=c99", "-x", "c", "-fsyntax-only", "-Wall", "-Wextra", "-Werror")
UNUSED = ("-Wno-unused-function", "-Wno-unused-const-variable")
PARAMETERS = re.compile(r" \* Parameters(?:: none\.|, which the includer defines before:)\n")
NAMES = re.compile(r"^ \*     (\w+(?:, \w+)*)[:(]", re.MULTILINE)


def _head(path: Path) -> str:
    return path.read_text().partition("*/")[0]


def _included(path: Path) -> list[str]:
    return re.findall(r'#include "(.*?)"', path.read_text())


def _compiles(paths: list[Path], *flags: str) -> str:
    command = [*STANDARD, *UNUSED, *flags, *INCLUDES, *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True).stderr


def test_no_file_includes_itself_by_a_circle() -> None:
    graph: Mapping[str, list[str]] = {name: _included(path) for name, path in FILES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(FILES)


def test_headers_compile_alone() -> None:
    """Whatever macro they test, they or what they include define it."""
    assert len(HEADERS) > 50
    assert _compiles(list(HEADERS.values()), "-Wundef") == ""


def test_functions_of_headers_are_inline() -> None:
    held = re.compile(r"^(?:MCUQ_\w+ )?static (?!inline)", re.MULTILINE)
    assert [name for name, path in HEADERS.items() if held.search(path.read_text())] == []


def test_bodies_lie_beside_kernels_and_say_their_parameters() -> None:
    assert len(BODIES) > 30
    assert [n for n, p in BODIES.items() if "include" in p.parts] == []
    assert [n for n, p in BODIES.items() if not PARAMETERS.search(_head(p))] == []


def test_parameters_of_a_body_are_what_it_needs() -> None:
    """Those of a body are named in it or in the bodies that it includes; without: it is whole."""
    named = {name: NAMES.findall(_head(path)) for name, path in BODIES.items()}
    for name, path in BODIES.items():
        texts = [path, *(BODIES[other] for other in _included(path) if other in BODIES)]
        code = " ".join(text.read_text().partition("*/")[2] for text in texts)
        for parameter in ", ".join(named[name]).split(", ") if named[name] else ():
            assert re.search(rf"\b{parameter}\b", code), (name, parameter)
    assert _compiles([path for name, path in BODIES.items() if not named[name]], "-Wundef") == ""
