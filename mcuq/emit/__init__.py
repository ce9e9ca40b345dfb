"""Program and Plan -> Artifact: the files of one compiled model, in memory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import jinja2

from mcuq.emit import blob, stamp
from mcuq.emit.facts import ArrayFacts, ModelFacts
from mcuq.emit.family import Variant
from mcuq.files import assets
from mcuq.version import __version__

Artifact = Mapping[str, str]

_KERNELS = "kernels/"
_ALWAYS = ("mcuq_align.h", "mcuq_target.h", "mcuq_trace.h")
_CHECK = "mcuq_blob_check"


def emit(facts: ModelFacts, report: str, golden: tuple[ArrayFacts, ...] = ()) -> dict[str, str]:
    """The files by path: model, weights, kernels it uses, build files, README, licence, report."""
    return emit_family(((facts, None),), report, golden)


def emit_family(
    members: Sequence[tuple[ModelFacts, Variant | None]],
    report: str,
    golden: tuple[ArrayFacts, ...] = (),
) -> dict[str, str]:
    """The files of one folder for several cores, the richest first; one without a variant."""
    facts = members[0][0]
    texts = _kernel_texts({s for member, _ in members for s in _symbols(member)})
    kernels = {f"{_KERNELS}{name}": text for name, text in stamp.stamped(texts).items()}
    context = {
        "m": facts,
        "version": __version__,
        "licence": stamp.LICENCE,
        "golden": golden,
        "sources": _sources(facts, kernels, golden),
        "family": tuple(variant for _, variant in members if variant),
        "cores": cores_of(members),
    }
    files = {
        f"{facts.id}.h": "model.h.j2",
        f"{facts.id}_float.h": "model_float.h.j2",
        "CMakeLists.txt": "CMakeLists.txt.j2",
        "Makefile": "Makefile.j2",
        "README.md": "README.md.j2",
    }
    if golden:
        files[f"{facts.id}_selftest.c"] = "model_selftest.c.j2"
    rendered = {path: render(template, context) for path, template in files.items()}
    for member, variant in members:
        rendered |= _own_files(member, variant, context, stamp.digests(texts))
    if members[0][1]:
        rendered[f"{facts.id}.c"] = render("model_family.c.j2", context)
    licence = assets.licence().read_text(encoding="utf-8")
    return {**rendered, **kernels, "LICENSE": licence, "report.json": report}


def _own_files(
    facts: ModelFacts,
    variant: Variant | None,
    context: Mapping[str, object],
    digests: Mapping[str, str],
) -> dict[str, str]:
    """The steps and the weights of one core: ``<id>.c``, or a header that it includes."""
    ending = f"_{variant.suffix}" if variant else ""
    weights = f"{facts.id}_weights{ending}.h"
    called = _called(facts) | _checks(facts)
    own = {**context, "m": facts, "weights": weights, **_joined(called, digests)}
    name = f"{facts.id}{ending}.h" if variant else f"{facts.id}.c"
    if facts.apart:
        known = {"code": code_of(facts, digests), "name": blob.name_field(facts.id)}
        return {name: render("model.c.j2", {**own, **{k: list(v) for k, v in known.items()}})}
    return {name: render("model.c.j2", own), weights: render("weights.h.j2", own)}


def weights_of(facts: ModelFacts) -> bytes | None:
    """The blob of a model whose weights lie apart."""
    if facts.apart is None:
        return None
    digests = stamp.digests(_kernel_texts(_symbols(facts)))
    return blob.assemble(facts.id, code_of(facts, digests), facts.apart)


def code_of(facts: ModelFacts, digests: Mapping[str, str]) -> bytes:
    """What the code of a model is told apart by from other code that might read its weights."""
    calls = [call for step in facts.steps for call in step.calls]
    # Of a port with a scale for each channel, they are in the README alone.
    ports = [(p.declaration, p.values[1:] and p.values) for p in (*facts.inputs, *facts.outputs)]
    windows = [step.weights for step in facts.steps]
    kernels = {symbol: digests[f"{symbol}.c"] for symbol in _called(facts)}
    return blob.code_digest((calls, ports, windows, facts.offsets), kernels)


def _checks(facts: ModelFacts) -> set[str]:
    return {_CHECK} if facts.apart else set()


def _symbols(facts: ModelFacts) -> set[str]:
    return {step.kernel for step in facts.steps} | _called(facts) | _checks(facts)


def cores_of(members: Sequence[tuple[ModelFacts, Variant | None]]) -> str:
    """Which cores the kernels are for."""
    if len(members) == 1:
        return members[0][0].kernels_for
    names = ", ".join(variant.core for _, variant in members if variant)
    return f"kernels for {names}, of which the compiler's macros choose"


def _sources(
    facts: ModelFacts, kernels: Mapping[str, str], golden: tuple[ArrayFacts, ...]
) -> list[str]:
    """The C files that a build compiles."""
    own = [f"{facts.id}.c", *([f"{facts.id}_selftest.c"] if golden else [])]
    return own + sorted(name for name in kernels if name.endswith(".c"))


def render(template: str, context: Mapping[str, object]) -> str:
    """One template with its facts."""
    return _environment().get_template(template).render(context)


def kernel_files(symbols: set[str]) -> dict[str, str]:
    """``kernels/<name>``: the C files of ``symbols`` and every header these include, unstamped."""
    return {f"{_KERNELS}{name}": text for name, text in _kernel_texts(symbols).items()}


def _kernel_texts(symbols: set[str]) -> dict[str, str]:
    shipped = assets.copied_files()
    texts: dict[str, str] = {}
    pending = [f"{symbol}.c" for symbol in sorted(symbols)]
    pending += [_declaring(symbol) for symbol in sorted(symbols)] + list(_ALWAYS)
    while pending:
        name = pending.pop()
        if name not in texts:
            texts[name] = shipped[name].read_text(encoding="utf-8")
            pending += stamp.includes(texts[name])
    return dict(sorted(texts.items()))


def _joined(called: set[str], digests: Mapping[str, str]) -> dict[str, object]:
    """What ties the model's C to its kernels: their headers and symbols, and the comparisons."""
    headers = tuple(sorted({_declaring(symbol) for symbol in called}))
    return {
        "headers": headers,
        "symbols": [stamp.renamed(symbol, digests) for symbol in sorted(called)],
        "checks": stamp.checks(tuple(sorted({*headers, *_ALWAYS})), digests),
    }


def _called(facts: ModelFacts) -> set[str]:
    return {call.line.split("(")[0] for step in facts.steps for call in step.calls}


def _declaring(symbol: str) -> str:
    """The header that declares ``symbol``."""
    pattern = re.compile(rf"^(?:void|int32_t) {symbol}\(", re.MULTILINE)
    contracts = (*assets.room_files("include"), *assets.room_files("weights"))
    return next(path.name for path in contracts if pattern.search(path.read_text()))


def _environment() -> jinja2.Environment:
    # C and Makefiles, not HTML: nothing is escaped here, naming.py has made all names harmless.
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(assets.folder("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
