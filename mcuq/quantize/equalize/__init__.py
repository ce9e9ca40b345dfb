"""Rescales and shifts channels and whole tensors so that they fill a power-of-two range.

A positive factor on a channel of a convolution's output is absorbed by its weights and bias, and
taken back by the weights of the layers that read it: the network computes the same, at no cost at
run time (cross-layer equalization: Meller et al. 2019, Nagel et al. 2019).

The factors of channels are those with the least expected noise (``balance.py``). A channel under an
upper bound (ReLU6) gets so much more as its values stay below it. Then the whole tensor moves to
where rounding and clipping are expected to harm the output least.

Tensors of 16 bits make no noise to speak of: their factors are those at which the weights around
them are rounded finest (``fill.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mcuq.ir import Array, Graph
from mcuq.ops import spec
from mcuq.ops.parts.exact import shortened
from mcuq.quantize import wide
from mcuq.quantize.equalize.balance import Activations, balance
from mcuq.quantize.equalize.components import Component, bound_of, components
from mcuq.quantize.equalize.fill import fill_weights
from mcuq.quantize.equalize.offsets import choose_offsets, offset_names
from mcuq.quantize.equalize.rescale import Change, rescaled
from mcuq.quantize.equalize.weight_noise import mixes, reader
from mcuq.quantize.ranges.candidates import candidates
from mcuq.quantize.state import State
from mcuq.quantize.structure import never_negative
from mcuq.quantize.tails import Seen, expected_noise

_FILLS = 16


def equalize(state: State, trade: float) -> State:
    """``state`` with a rescaled graph; scales and weights are to be chosen anew.

    The noise of rounded weights counts ``trade`` times.
    """
    trades = {part.tensors[0]: trade for part in components(state.graph)}
    return with_trades(state, trades)


def with_trades(state: State, trades: Mapping[str, float]) -> State:
    """The same with a trade for each component, named by its first tensor."""
    narrow = _narrow(state)
    changed = rescaled(state, _choose_change(state, narrow, trades)) if narrow else state
    return fill_weights(changed, [part for part in components(state.graph) if part not in narrow])


def is_traded(state: State) -> bool:
    """Whether any tensor weighs its own noise against that of weights."""
    return bool(_narrow(state))


def _narrow(state: State) -> list[Component]:
    """The components that are not of 16 bits altogether."""
    wanted = wide.wanted(state.graph, state.options.bits)
    return [part for part in components(state.graph) if not wanted.issuperset(part.tensors)]


def _choose_change(state: State, parts: Sequence[Component], trades: Mapping[str, float]) -> Change:
    """Factors and offsets for ``parts``."""
    graph = state.graph
    changed = {name for part in parts for name in part.tensors}
    # Of others nobody asks: a row of samples has as many channels as samples.
    asked = changed | offset_names(graph)
    ends = {name: seen.best_ends for name, seen in state.seen.items() if name in asked}
    weights = {n: state.sensitivity.get(n, np.ones(len(low))) for n, (low, _) in ends.items()}
    offsets = {n: o for n, o in choose_offsets(graph, ends, weights).items() if n in changed}
    centred = {
        n: (low + offsets.get(n, 0.0), high + offsets.get(n, 0.0))
        for n, (low, high) in ends.items()
    }
    never = never_negative(graph)
    factors: dict[str, Array] = {}
    for part in parts:
        shape = _shape(state, part, centred, trades[part.tensors[0]])
        found = shape * _fill(state, part, offsets, never, shape)
        for name in part.tensors:
            factors[name] = np.broadcast_to(found, graph.shape(name)[-1:])
    shifts = {n: shift * factors.get(n, 1.0) for n, shift in offsets.items()}
    return Change(factors, shifts)


def _shape(
    state: State, part: Component, ends: Mapping[str, tuple[Array, Array]], trade: float
) -> Array:
    """How the channels change relative to each other: the least factor is 1."""
    graph, bound = state.graph, bound_of(state.graph, part)
    rounding = [name for name in part.tensors if _rounds(graph, name)]
    if part.channels == 1 or not any(name in state.sensitivity for name in rounding):
        return np.ones(1)
    never = never_negative(graph)
    tensors, readers = [], []
    for name in part.tensors:
        seen = state.seen[name]
        readers += [reader(state, n) for n in graph.consumers(name) if mixes(n)]
        if name in rounding and name in state.sensitivity:
            low, high = ends[name]
            peak = np.minimum(np.maximum(high, -low), bound)
            steps = 255.0 if name in never else 127.5
            tensors.append(Activations(peak, state.sensitivity[name] * seen.busy, steps))
    found = balance(tensors, readers, trade)
    # A channel must stay below the common bound, which goes with the least factor.
    highest = [np.maximum(ends[name][1], state.seen[name].high.top[0]) for name in rounding]
    most = bound * found.min() / np.maximum(np.minimum(np.max(highest, axis=0), bound), 1e-30)
    factors: Array = np.minimum(found, most)
    return factors


def _rounds(graph: Graph, name: str) -> bool:
    """Whether the values of a tensor are rounded anew, not only moved."""
    node = graph.producer(name)
    return node is None or not spec(node.op).keeps_scale


def _fill(
    state: State,
    part: Component,
    offsets: Mapping[str, Array],
    never: frozenset[str],
    shape: Array,
) -> float:
    """The factor in 1..2 at which rounding and clipping are expected to harm the output least."""
    below = all(n in never for n in part.tensors)
    facts = []
    for name in part.tensors:
        factor = shape if shape.size > 1 else np.full(state.graph.shape(name)[-1], shape[0])
        shifted = state.seen[name].affine(factor, offsets.get(name, 0.0) * factor)
        facts.append((shifted, state.sensitivity.get(name, np.ones(len(factor))) / factor**2))
    errors = []
    for index in range(_FILLS):
        fill = float(shortened(np.array(2.0 ** (index / _FILLS))))
        noise = sum(_least_noise(seen, weight, fill, below) for seen, weight in facts)
        errors.append((noise, fill))
    return float(min(errors)[1])


def _least_noise(seen: Seen, weight: Array, factor: float, never: bool) -> float:
    """The expected noise of a tensor times ``factor`` at its best frac and zero."""
    larger = seen.affine(factor, 0.0)
    options = candidates(*larger.bounds, never)
    return float(expected_noise(larger, weight / factor**2, options).min())
