"""What the compiler of the generated C is asked: is its target what kernels were chosen for?

A wrong one gives the right numbers, slowly and without a word; so the model's C has a #warning.
"""

from __future__ import annotations

from mcuq.program.elsewhere import Elsewhere, kernels_of, needs_of
from mcuq.program.lower import Program

# The macro that says that the target has a feature; the richest comes first.
_MACROS = {"mve": "__ARM_FEATURE_MVE", "dsp": "__ARM_FEATURE_DSP"}


def target_warnings(
    program: Program, richer: tuple[Elsewhere, ...], model_id: str
) -> tuple[tuple[str, str], ...]:
    """Conditions of the preprocessor and what to say, of which the first that holds is meant."""
    needs = needs_of(program)
    found = [
        (f"!defined({macro})", _lacking(program, f)) for f, macro in _MACROS.items() if f in needs
    ]
    for feature, macro in _MACROS.items():
        rows = [r for r in richer if feature in r.features and feature not in program.cpu.features]
        found += [(f"defined({macro})", _richer(program, rows[0]))] if rows else []
    if "dsp" in needs:
        text = "without unaligned access slower C runs: give the compiler -munaligned-access"
        found.append(("!MCUQ_UNALIGNED", text))
    text = "without optimization kernels take many times their instructions: give it -O2"
    found.append(("!defined(__OPTIMIZE__)", text))
    return tuple((condition, f"{model_id}: {text}") for condition, text in found)


def _lacking(program: Program, feature: str) -> str:
    name = kernels_of(program)
    return f"kernels for {name}, but this target lacks {feature.upper()}: use mcuq retarget"


def _richer(program: Program, row: Elsewhere) -> str:
    return f"kernels for {kernels_of(program)} take {row.times()}: use mcuq retarget"
