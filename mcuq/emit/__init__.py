"""Program and Plan -> Artifact: the files of one compiled model, in memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import jinja2

from mcuq import __version__, assets
from mcuq.emit.facts import ModelFacts

Artifact = Mapping[str, str]

_INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)


def emit(facts: ModelFacts, report: str) -> dict[str, str]:
    """The files by path: model, weights, kernels it uses, build files, README and report."""
    kernels = kernel_files({step.kernel for step in facts.steps} | _called(facts))
    headers = sorted({_declaring(symbol) for symbol in _called(facts)})
    sources = sorted(name for name in kernels if name.endswith(".c"))
    context = {"m": facts, "version": __version__, "headers": headers, "kernels": sources}
    files = {
        f"{facts.id}.h": "model.h.j2",
        f"{facts.id}.c": "model.c.j2",
        f"{facts.id}_float.h": "model_float.h.j2",
        f"{facts.id}_weights.h": "weights.h.j2",
        "CMakeLists.txt": "CMakeLists.txt.j2",
        "Makefile": "Makefile.j2",
        "README.md": "README.md.j2",
    }
    rendered = {path: render(template, context) for path, template in files.items()}
    return {**rendered, **kernels, "report.json": report}


def render(template: str, context: Mapping[str, object]) -> str:
    """One template with its facts."""
    return _environment().get_template(template).render(context)


def kernel_files(symbols: set[str]) -> dict[str, str]:
    """``kernels/<name>``: the C files of ``symbols`` and every header these include."""
    runtime = assets.folder("runtime_c")
    files: dict[str, str] = {}
    pending = [f"{symbol}.c" for symbol in sorted(symbols)]
    pending += [_declaring(symbol) for symbol in sorted(symbols)]
    pending += ["mcuq_align.h", "mcuq_target.h", "mcuq_trace.h"]
    while pending:
        name = pending.pop()
        if f"kernels/{name}" not in files:
            text = (runtime / ("src" if name.endswith(".c") else "include") / name).read_text()
            files[f"kernels/{name}"] = text
            pending += _INCLUDE.findall(text)
    return dict(sorted(files.items()))


def _called(facts: ModelFacts) -> set[str]:
    return {call.line.split("(")[0] for step in facts.steps for call in step.calls}


def _declaring(symbol: str) -> str:
    """The header that declares ``symbol``."""
    folder: Path = assets.folder("runtime_c") / "include"
    pattern = re.compile(rf"^void {symbol}\(", re.MULTILINE)
    return next(p.name for p in sorted(folder.glob("*.h")) if pattern.search(p.read_text()))


def _environment() -> jinja2.Environment:
    # C and Makefiles, not HTML: nothing is escaped here, naming.py has made all names harmless.
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(assets.folder("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
