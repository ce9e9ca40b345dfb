"""Rescales and shifts channels and whole tensors so that they fill a power-of-two range.

A positive factor on a channel of a convolution's output is absorbed by its weights and bias, and
taken back by the weights of the layers that read it: the network computes the same, at no cost at
run time (cross-layer equalization: Meller et al. 2019, Nagel et al. 2019). ReLU, LeakyReLU, pooling
and adds let it pass, so the tensors they join share their factors.

The factors of channels are those with the least expected noise (``balance.py``). A channel under an
upper bound (ReLU6) gets so much more as its values stay below it. Then the whole tensor moves to
where rounding and clipping are expected to harm the output least.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import coded, spec
from mcuq.quantize import given
from mcuq.quantize.balance import Activations, Reader, balance
from mcuq.quantize.offsets import choose_offsets
from mcuq.quantize.ranges import candidates
from mcuq.quantize.rescale import Change, rescaled
from mcuq.quantize.state import State
from mcuq.quantize.structure import WEIGHT_AXIS, activations, never_negative
from mcuq.quantize.tails import Seen, expected_noise

_JOINS = ("add", "sub", "max_pool2d", "avg_pool2d", "clip", "leaky_relu", "pad", "reshape")
_JOINS_WHOLE = ("concat", "transpose")
_PASSES = ("argmax", "softmax")

_MIXING = ("conv2d", "dense")
_FILLS = 16


@dataclass(frozen=True)
class Component:
    """Tensors that share factors, with ``channels`` (1: only one factor for all)."""

    tensors: tuple[str, ...]
    channels: int


def components(graph: Graph, fixed_outputs: bool = False) -> tuple[Component, ...]:
    """The sets of tensors that may be rescaled; those that may not are left out."""
    root = {name: name for name in activations(graph)}

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    fixed, whole = _restricted(graph)
    for node in graph.nodes:
        if node.op in (*_JOINS, *_JOINS_WHOLE):
            for name in node.inputs:
                if name in root:
                    root[find(name)] = find(node.output)
    members: dict[str, list[str]] = {}
    for name in root:
        members.setdefault(find(name), []).append(name)
    found = []
    for names in members.values():
        if fixed.intersection(names):
            continue
        depths = {graph.shape(n)[-1] for n in names}
        single = bool(whole.intersection(names)) or len(depths) > 1
        found.append(Component(tuple(names), 1 if single else depths.pop()))
    return tuple(found)


def _restricted(graph: Graph) -> tuple[set[str], set[str]]:
    """Tensors that keep their scale, and those whose channels must share one factor.

    Among the latter are those around weights that share a table: they go on sharing it.
    """
    fixed = {port.tensor for port in graph.inputs} | given.kept_activations(graph).keys()
    kept = given.kept_weights(graph)
    whole = {port.tensor for port in graph.outputs}
    for node in graph.nodes:
        names = [n for n in (*node.inputs, node.output) if not graph.is_constant(n)]
        low, high = limits(node)
        if low not in (0.0, -math.inf) or (high != math.inf and low != 0.0):
            whole.add(node.output)
        if node.op in WEIGHT_AXIS and (node.inputs[1] in kept or _shares(graph, node)):
            fixed.update(names)
        elif node.op in WEIGHT_AXIS and coded.exponents_of(
            graph.data(node.inputs[1]), WEIGHT_AXIS[node.op]
        ):
            whole.update(names)
        if node.op in _PASSES:
            whole.add(node.inputs[0])
            fixed.update(node.outputs)
        elif node.op in _JOINS_WHOLE or _mixes_channels(graph, node):
            whole.update(names)
        elif node.op not in WEIGHT_AXIS and node.op not in _JOINS:
            fixed.update(names)
    return fixed, whole


def _shares(graph: Graph, node: Node) -> bool:
    """Whether other layers read the weights or the bias of this one too."""
    return any(len(graph.consumers(name)) > 1 for name in node.inputs[1:])


def limits(node: Node) -> tuple[float, float]:
    """The bounds that a node sets to its output."""
    if node.op == "clip":
        return node.float("low"), node.float("high")
    low, high = node.attrs.get("clip", (-math.inf, math.inf))
    return float(low), float(high)


def _mixes_channels(graph: Graph, node: Node) -> bool:
    if node.op == "reshape":
        before, after = graph.shape(node.inputs[0]), graph.shape(node.output)
        return before[-1] != after[-1]
    if node.op in ("add", "sub"):
        return len({graph.shape(n)[-1] for n in (*node.inputs, node.output)}) > 1
    return False


def equalize(state: State, trade: float) -> State:
    """``state`` with a rescaled graph; scales and weights are to be chosen anew.

    The noise of rounded weights counts ``trade`` times.
    """
    trades = {part.tensors[0]: trade for part in components(state.graph)}
    return rescaled(state, choose_change(state, trades))


def choose_change(state: State, trades: Mapping[str, float]) -> Change:
    """Factors and offsets; the first tensor of a component names its trade."""
    graph = state.graph
    ends = {name: seen.best_ends() for name, seen in state.seen.items()}
    weights = {n: state.sensitivity.get(n, np.ones(len(low))) for n, (low, _) in ends.items()}
    offsets = choose_offsets(graph, ends, weights)
    centred = {
        n: (low + offsets.get(n, 0.0), high + offsets.get(n, 0.0))
        for n, (low, high) in ends.items()
    }
    never = never_negative(graph)
    factors: dict[str, Array] = {}
    for part in components(graph):
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
    graph, bound = state.graph, _bound(state.graph, part)
    rounding = [name for name in part.tensors if _rounds(graph, name)]
    if part.channels == 1 or not any(name in state.sensitivity for name in rounding):
        return np.ones(1)
    never = never_negative(graph)
    tensors, readers = [], []
    for name in part.tensors:
        seen = state.seen[name]
        readers += [_reader(state, n, seen) for n in graph.consumers(name) if n.op in _MIXING]
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


def _reader(state: State, node: Node, seen: Seen) -> Reader:
    """What a layer that mixes the channels of its input makes of their factors."""
    weights = np.abs(state.graph.data(node.inputs[1]).astype(np.float64))
    taps = 1
    if node.op == "conv2d":
        groups, taps = node.int("groups"), weights.shape[1] * weights.shape[2]
        largest = weights.max(axis=(1, 2)).reshape(groups, -1, weights.shape[3])
        spread = np.zeros((groups, largest.shape[1], groups, weights.shape[3]))
        for group in range(groups):
            spread[group, :, group] = largest[group]
        weights = spread.reshape(len(weights), -1)
    busy = state.seen[node.output].busy
    weight = state.sensitivity.get(node.output, np.zeros(len(weights))) * busy
    return Reader(weights, weight, seen.variance * taps)


def _bound(graph: Graph, part: Component) -> float:
    """The least upper bound that an operator sets to a tensor."""
    bounds = [math.inf]
    for node in graph.nodes:
        if node.output in part.tensors:
            bounds.append(limits(node)[1])
    return min(bounds)


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
        factor = 2.0 ** (index / _FILLS)
        noise = sum(_least_noise(seen, weight, factor, below) for seen, weight in facts)
        errors.append((noise, factor))
    return float(min(errors)[1])


def _least_noise(seen: Seen, weight: Array, factor: float, never: bool) -> float:
    """The expected noise of a tensor times ``factor`` at its best frac and zero."""
    larger = seen.affine(factor, 0.0)
    options = candidates(*larger.bounds, never)
    return min(expected_noise(larger, weight / factor**2, *option) for option in options)
