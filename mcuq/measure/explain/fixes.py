"""The cheapest thing to do about the layers that bring the most noise."""

from __future__ import annotations

from dataclasses import replace

from mcuq.measure.explain.facts import CAUSES, Explanation, Layer
from mcuq.measure.explain.network import is_corrected
from mcuq.model.report import Fix, Quantization
from mcuq.quantize.guard import output_error
from mcuq.quantize.ranges.limits import limit_fracs
from mcuq.quantize.ranges.scales import dictated
from mcuq.quantize.rounding.bias import correct_biases
from mcuq.quantize.simulate import decibels
from mcuq.quantize.state import State
from mcuq.quantize.structure import group_of, weighted

WORTH_DB = 0.05
"""A smaller gain is not worth naming."""
WORST = 3
"""For so many layers a fix is sought."""
FEW_ROWS = 100


def with_fixes(result: Explanation, state: State, quantization: Quantization | None) -> Explanation:
    """``result`` with a fix for each of the worst layers."""
    before = output_error(state, state.feeds)
    worst = [layer for layer in result.worst()[:WORST] if layer.total > 0]
    fixes = (_best_frac(x, state, before) or _other_fix(x, quantization) for x in worst)
    return replace(result, fixes=tuple(fixes))


def _best_frac(layer: Layer, state: State, before: float) -> Fix | None:
    """Another frac of the layer's output, if the network would err less with it."""
    group = group_of(state.graph)[layer.tensor]
    if dictated(state.graph).keys() & set(group):
        return None
    found = [(before, layer.frac)]
    for frac in (layer.frac - 1, layer.frac + 1):
        change = {n: replace(state.acts[n], frac=frac) for n in group}
        allowed = limit_fracs(state.graph, {**state.acts, **change})
        if all(allowed[n].frac == frac for n in group):
            found.append((_error_with(state.with_acts(change)), frac))
    error, frac = min(found)
    gain = decibels(error) - decibels(before)
    if gain < WORTH_DB:
        return None
    clipped = f"{100 * layer.clipped:.2g} % clipped"
    text = (
        f"tensor '{layer.tensor}', {clipped}: frac {layer.frac} -> {frac} "
        "(quantize.fracs in the config)"
    )
    return Fix(layer.name, _cause(layer), text, "costs nothing", gain)


def _error_with(state: State) -> float:
    """Noise over signal at the output; biases that were corrected are corrected anew."""
    if any(is_corrected(state, node) for node in weighted(state.graph)):
        state = correct_biases(state)
    return output_error(state, state.feeds)


def _cause(layer: Layer) -> str:
    return max(CAUSES, key=lambda cause: layer.noise[cause])


def _other_fix(layer: Layer, quantization: Quantization | None) -> Fix:
    """What helps where no other frac does."""
    known = quantization or Quantization("normal", 0, ())
    rows, effort = known.calibration_rows, known.effort
    cause = _cause(layer)
    if layer.op == "input" and cause == "clipping":
        text = "give calibration data with the input's whole range"
        return Fix(layer.name, cause, text, "costs nothing", None)
    if 0 < rows < FEW_ROWS:
        text = f"give {FEW_ROWS} or more calibration rows, it had {rows}"
        return Fix(layer.name, cause, text, "compile time only", None)
    if effort != "best":
        better = "normal" if effort == "fast" else "best"
        return Fix(layer.name, cause, f"compile with --effort {better}", "compile time only", None)
    return Fix(layer.name, cause, f"none: its {cause} is at the limit of 8 bits", "", None)
