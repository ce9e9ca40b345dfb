"""What an already quantized model gives: numbers that are kept where they are powers of two.

A tensor keeps its frac and zero if its scale is a power of two (with fewer than 8 bits, if its zero
point is 0 or the lowest integer; with 16, if it is 0 and what writes it can write 16). Weights keep
their fracs if every one lies on the grid of its scale; their integers are then those of the model.
Everything else is fitted anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from mcuq.ir import Array, Graph, Hint
from mcuq.ops import layout_of
from mcuq.ops.parts.weights import along
from mcuq.qir import QTensor, frac_of
from mcuq.quantize.reals import dequantized
from mcuq.quantize.structure import activations, groups, narrow, weighted

FRAC_MIN, FRAC_MAX = -20, 24


def power_of_two(scale: float) -> int | None:
    """The frac of a scale that is ``2**-frac``; None for any other.

    >>> power_of_two(0.125), power_of_two(0.1)
    (3, None)
    """
    mantissa, exponent = math.frexp(scale)
    frac = 1 - exponent
    return frac if mantissa == 0.5 and FRAC_MIN <= frac <= FRAC_MAX else None


Numbers = tuple[str, int, int]
"""(kind, frac, zero)."""


def kept_activations(graph: Graph) -> dict[str, Numbers]:
    """The numbers of each activation that keeps what the model gives, its whole group with it."""
    found: dict[str, Numbers] = {}
    fixed = narrow(graph) if graph.hints else frozenset()
    for group in groups(graph) if graph.hints else ():
        numbers = [own for own in (_own(graph.hints.get(n)) for n in group) if own]
        if numbers and (numbers[0][0] == "s8" or not fixed.intersection(group)):
            found.update((name, numbers[0]) for name in group)
    return found


def kept_weights(graph: Graph) -> dict[str, tuple[int, ...]]:
    """The fracs of the weights that keep what the model gives, one per output channel."""
    found = {}
    for node in weighted(graph):
        name = node.inputs[1]
        hint = graph.hints.get(name)
        fracs = None if hint is None else _grid(graph, name, layout_of(node).outputs, hint)
        if fracs is not None:
            found[name] = fracs
    return found


def differ(graph: Graph, name: str, output: str) -> bool | None:
    """Whether two activations keep different numbers; None unless both keep what is given."""
    first, second = (_own(graph.hints.get(n)) for n in (name, output))
    return None if first is None or second is None else first != second


def _own(hint: Hint | None) -> Numbers | None:
    if hint is None or len(hint.scale) != 1:
        return None
    frac = power_of_two(hint.scale[0])
    lowest = -(1 << (hint.bits - 1))
    if frac is None or (hint.bits != 8 and hint.zero not in (0, lowest)):
        return None
    if hint.bits > 8:
        return None if hint.zero else ("s16", frac, 0)
    return "s8", frac, -128 if hint.zero == lowest else hint.zero


def _grid(graph: Graph, name: str, axis: int, hint: Hint) -> tuple[int, ...] | None:
    data = graph.data(name)
    count = data.shape[axis]
    if len(hint.scale) not in (1, count):
        return None
    fracs = [power_of_two(scale) for scale in hint.scale] * (count // len(hint.scale))
    known = tuple(frac for frac in fracs if frac is not None)
    if len(known) != count:
        return None
    steps = data.astype(np.float64) * along(2.0 ** np.array(known, np.float64), axis, data.ndim)
    exact = bool((steps == np.round(steps)).all()) and steps.min() >= -128 and steps.max() <= 127
    return known if exact else None


def complete(graph: Graph, dictated: Mapping[str, Any]) -> bool:
    """Whether all numbers are given, so that no calibration data is needed."""
    kept, weights = kept_activations(graph), kept_weights(graph)
    return all(name in kept or name in dictated for name in activations(graph)) and all(
        node.inputs[1] in weights for node in weighted(graph)
    )


@dataclass(frozen=True)
class Given:
    """What became of one tensor of a quantized model; ``kept``: exactly what the model gives.

    ``moved``: how many times its given step the step of the integers is; of channels the farthest.
    """

    name: Annotated[str, "of the tensor"]
    kind: Annotated[str, "activation or weights"]
    scale: Annotated[tuple[float, ...], "as the model gives it"]
    frac: Annotated[int | tuple[int, ...], "as it is now"]
    kept: Annotated[bool, "exactly as given, or fitted anew"]
    moved: Annotated[float, "its step now, in steps as given; of channels the farthest"]


def outcome(
    graph: Graph,
    rounded: Graph,
    acts: Mapping[str, QTensor],
    weights: Mapping[str, QTensor],
    scaled: Mapping[str, float],
    gains: Mapping[str, Array] | None,
) -> tuple[Given, ...]:
    """Every hint of ``graph``, held against the numbers of the ``rounded`` network, in which
    activations are ``scaled`` times what they are in ``graph``. ``gains``: of the sums of layers,
    by name, if all grids were to be kept (``grids``).
    """
    inputs = {port.tensor: 1 / port.scale[0] for port in rounded.inputs if port.scale}
    times = {**scaled, **inputs}
    found = (
        *_activations(graph, acts, times),
        *_weights(graph, rounded, weights, times, gains or {}),
    )
    if gains is None:
        return found
    return tuple(replace(g, kept=math.isclose(g.moved, 1.0, rel_tol=1e-6)) for g in found)


def _activations(
    graph: Graph, acts: Mapping[str, QTensor], times: Mapping[str, float]
) -> Iterator[Given]:
    for name in activations(graph):
        hint, act = graph.hints.get(name), acts.get(name)
        if hint is not None and act is not None:
            kept = _own(hint) == (act.kind, act.frac, act.zero)
            moved = _moved(hint.scale, (2.0 ** -frac_of(act) / times.get(name, 1.0),))
            yield Given(name, "activation", hint.scale, act.frac, kept, moved)


def _weights(
    graph: Graph,
    rounded: Graph,
    weights: Mapping[str, QTensor],
    times: Mapping[str, float],
    gains: Mapping[str, Array],
) -> Iterator[Given]:
    now = {node.name: node.inputs[1] for node in weighted(rounded)}
    for node in weighted(graph):
        name = node.inputs[1]
        hint, found = graph.hints.get(name), weights.get(now.get(node.name, ""))
        if hint is not None and found is not None:
            kept = now[node.name] == name and np.array_equal(dequantized(found), graph.data(name))
            fracs = found.frac if isinstance(found.frac, tuple) else (found.frac,)
            factor = times.get(node.output, 1.0) / times.get(node.inputs[0], 1.0)
            steps = 2.0 ** -np.array(fracs, np.float64) / factor * gains.get(node.name, 1.0)
            moved = _moved(hint.scale, steps)
            yield Given(name, "weights", hint.scale, found.frac, kept, moved)


def _moved(before: Sequence[float], now: Sequence[float] | Array) -> float:
    """The ratio of two steps, or that of the channel in which they differ most.

    >>> _moved((0.5, 1.0), (0.5, 0.25))
    0.25
    """
    ratios = np.asarray(now, np.float64) / np.asarray(before, np.float64)
    return float(ratios.flat[np.argmax(np.abs(np.log2(ratios)))])
