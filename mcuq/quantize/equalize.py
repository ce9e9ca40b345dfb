"""Rescales channels and whole tensors so that their values fill a power-of-two range.

A positive factor on a channel of a convolution's output is absorbed by its weights and bias, and
taken back by the weights of the layers that read it: the network computes the same, at no cost at
run time (cross-layer equalization: Meller et al. 2019, Nagel et al. 2019). ReLU, LeakyReLU, pooling
and adds let it pass, so the tensors they join share their factors.

With ``strength`` 1 every channel's range becomes that of the widest; with 0 only the whole tensor
moves, to where its range ends at a power of two. Rounding of activations gets finer with
strength, that of the weights behind them coarser: how far to go is for the output's error to say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mcuq.ir import Array, Graph, Node, Tensor
from mcuq.ops import coded
from mcuq.qir import QTensor
from mcuq.quantize import given
from mcuq.quantize.scales import minmax_frac, row_parts
from mcuq.quantize.simulate import fake_quantize_array
from mcuq.quantize.state import State
from mcuq.quantize.structure import WEIGHT_AXIS, activations, never_negative
from mcuq.reference import run_float

_JOINS = ("add", "sub", "max_pool2d", "avg_pool2d", "clip", "leaky_relu", "pad", "reshape")
_JOINS_WHOLE = ("concat", "transpose")
_PASSES = ("argmax",)

SAMPLES = 50_000
"""About so many values of each tensor are looked at."""


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
        low, high = node.attrs.get("clip", (-math.inf, math.inf))
        if node.op == "clip":
            low, high = node.float("low"), node.float("high")
        if low not in (0.0, -math.inf) or high != math.inf:
            whole.add(node.output)
        if node.op in WEIGHT_AXIS and node.inputs[1] in kept:
            fixed.update(names)
        elif node.op in WEIGHT_AXIS and coded.exponents_of(
            graph.data(node.inputs[1]), WEIGHT_AXIS[node.op]
        ):
            whole.update(names)
        if node.op in _PASSES:
            whole.add(node.inputs[0])
        elif node.op in _JOINS_WHOLE or _mixes_channels(graph, node):
            whole.update(names)
        elif node.op not in WEIGHT_AXIS and node.op not in _JOINS:
            fixed.update(names)
    return fixed, whole


def _mixes_channels(graph: Graph, node: Node) -> bool:
    if node.op == "reshape":
        before, after = graph.shape(node.inputs[0]), graph.shape(node.output)
        return before[-1] != after[-1]
    if node.op in ("add", "sub"):
        return len({graph.shape(n)[-1] for n in (*node.inputs, node.output)}) > 1
    return False


def equalize(state: State, strength: float) -> State:
    """``state`` with a rescaled graph; scales and weights are to be chosen anew."""
    seen = survey(state)
    return rescaled(state, choose_factors(state.graph, seen, dict.fromkeys(seen.peaks, strength)))


@dataclass(frozen=True)
class Survey:
    """Of each activation: (C,) largest magnitudes over all rows, and (n, C) sampled values."""

    peaks: Mapping[str, Array]
    samples: Mapping[str, Array]


def survey(state: State) -> Survey:
    """The peaks and samples of ``state.graph`` over the calibration rows."""
    peaks: dict[str, Array] = {}
    samples: dict[str, list[Array]] = {}
    parts = row_parts(state)
    for part in parts:
        for name, values in run_float(state.graph, part).items():
            pixels = values.reshape(-1, values.shape[-1])
            top = np.abs(pixels).max(axis=0)
            peaks[name] = np.maximum(peaks.get(name, top), top)
            step = max(1, pixels.size * len(parts) // SAMPLES)
            samples.setdefault(name, []).append(pixels[::step].copy())
    return Survey(peaks, {n: np.concatenate(v) for n, v in samples.items()})


def choose_factors(graph: Graph, seen: Survey, strengths: Mapping[str, float]) -> dict[str, Array]:
    """(C,) factors by tensor; the first tensor of a component names its strength."""
    never = never_negative(graph)
    factors: dict[str, Array] = {}
    for part in components(graph):
        shape = _shape(part, seen, strengths[part.tensors[0]])
        found = shape * _fill(part, seen, never, shape)
        for name in part.tensors:
            factors[name] = np.broadcast_to(found, graph.shape(name)[-1:])
    return factors


def _shape(part: Component, seen: Survey, strength: float) -> Array:
    """How the channels change relative to each other: the widest stays."""
    if part.channels == 1:
        return np.ones(1)
    peak = np.max([seen.peaks[n] for n in part.tensors], axis=0).astype(np.float64)
    top = float(peak.max())
    if top <= 0:
        return np.ones(1)
    shape: Array = (top / np.maximum(peak, top * 2.0**-10)) ** strength
    return shape


def _fill(part: Component, seen: Survey, never: frozenset[str], shape: Array) -> float:
    """The factor in 1..2 at which rounding and clipping err least, relative to the values."""
    zero = -128 if all(n in never for n in part.tensors) else 0
    values = [seen.samples[n] * shape.astype(np.float32) for n in part.tensors]
    power = [float(np.mean(v * v, dtype=np.float64)) for v in values]
    errors = []
    for eighths in range(8):
        factor = 2.0 ** (eighths / 8)
        noise = [
            _least_noise(v * np.float32(factor), zero) / factor**2 / p
            for v, p in zip(values, power, strict=True)
            if p > 0
        ]
        errors.append((sum(noise), factor))
    return float(min(errors)[1])


def _least_noise(values: Array, zero: int) -> float:
    """The mean squared error at the best frac."""
    first = minmax_frac(float(values.min()), float(values.max()), zero)
    acts = [QTensor("", (), "s8", first + bits, zero) for bits in range(3)]
    return min(float(np.mean((fake_quantize_array(values, a) - values) ** 2)) for a in acts)


def rescaled(state: State, factors: Mapping[str, Array]) -> State:
    """The same network with every tensor in ``factors`` multiplied, per last-axis channel."""
    graph = state.graph
    tensors = dict(graph.tensors)
    nodes = tuple(_rescaled_node(node, graph, tensors, factors) for node in graph.nodes)
    ranges = dict(state.ranges)
    outer = dict(state.factors)
    for port in graph.outputs:
        if port.tensor in factors:
            outer[port.tensor] = outer.get(port.tensor, 1.0) * float(factors[port.tensor][0])
    changed = replace(graph, nodes=nodes, tensors=tensors)
    return state.with_(graph=changed, ranges=ranges, factors=outer)


def _rescaled_node(
    node: Node, graph: Graph, tensors: dict[str, Tensor], factors: Mapping[str, Array]
) -> Node:
    into, out = factors.get(node.inputs[0]), factors.get(node.output)
    if node.op in WEIGHT_AXIS:
        return _rescaled_layer(node, graph, tensors, into, out)
    if out is None:
        return node
    for name in node.inputs:
        if graph.is_constant(name):
            data = graph.data(name) * out.astype(np.float32)
            tensors[name] = Tensor(name, data.shape, data.astype(np.float32))
    return _rescaled_clip(node, out)


def _rescaled_layer(
    node: Node,
    graph: Graph,
    tensors: dict[str, Tensor],
    into: Array | None,
    out: Array | None,
) -> Node:
    _, w, b = node.inputs
    weights = tensors[w].data.astype(np.float64)  # type: ignore[union-attr]
    if into is not None:
        weights = weights / _per_weight(node, weights, into)
    if out is not None:
        shape = [-1 if i == WEIGHT_AXIS[node.op] else 1 for i in range(weights.ndim)]
        weights = weights * out.reshape(shape)
        bias = graph.data(b) * out
        tensors[b] = Tensor(b, bias.shape, bias.astype(np.float32))
        node = _rescaled_clip(node, out)
    tensors[w] = Tensor(w, weights.shape, weights.astype(np.float32))
    return node


def _per_weight(node: Node, weights: Array, into: Array) -> Array:
    """The factor of the input channel that each weight multiplies, broadcastable."""
    if node.op == "depthwise_conv2d":
        return np.repeat(into, weights.shape[2] // len(into))
    if node.op == "dense":
        return into
    groups, depth = node.int("groups"), weights.shape[3]
    per_output = np.repeat(into.reshape(groups, depth), weights.shape[0] // groups, axis=0)
    return per_output[:, None, None, :]


def _rescaled_clip(node: Node, out: Array) -> Node:
    """``node`` with its bounds and padding in the new scale (infinite and 0 stay)."""
    factor = float(out[0])
    if "clip" in node.attrs:
        low, high = node.attrs["clip"]
        node = node.with_attrs(clip=(_times(low, factor), _times(high, factor)))
    if node.op == "clip":
        low, high = node.float("low"), node.float("high")
        node = node.with_attrs(low=_times(low, factor), high=_times(high, factor))
    if node.op == "pad":
        value = np.array(node.attrs["value"], np.float64) * out
        same = bool((value == value[0]).all())
        node = node.with_attrs(value=tuple(float(v) for v in (value[:1] if same else value)))
    return node


def _times(bound: float, factor: float) -> float:
    return bound if math.isinf(bound) or bound == 0 else bound * factor
