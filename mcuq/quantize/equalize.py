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
from mcuq.quantize.guard import fit_rows
from mcuq.quantize.scales import minmax_frac
from mcuq.quantize.state import State
from mcuq.quantize.structure import WEIGHT_AXIS, activations, never_negative
from mcuq.reference import run_float

_JOINS = ("add", "sub", "max_pool2d", "avg_pool2d", "clip", "leaky_relu", "pad", "reshape")
_JOINS_WHOLE = ("concat", "transpose")
_PASSES = ("argmax",)


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
    """Tensors that keep their scale, and those whose channels must share one factor."""
    fixed = {port.tensor for port in graph.inputs}
    whole = {port.tensor for port in graph.outputs}
    for node in graph.nodes:
        names = [n for n in (*node.inputs, node.output) if not graph.is_constant(n)]
        low, high = node.attrs.get("clip", (-math.inf, math.inf))
        if node.op == "clip":
            low, high = node.float("low"), node.float("high")
        if low not in (0.0, -math.inf) or high != math.inf:
            whole.add(node.output)
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
    values = _peaks(state)
    never = never_negative(state.graph)
    factors: dict[str, Array] = {}
    for part in components(state.graph):
        found = _factors(part, values, never, strength)
        for name in part.tensors:
            factors[name] = np.broadcast_to(found, state.graph.shape(name)[-1:])
    return rescaled(state, factors)


def _peaks(state: State) -> dict[str, Array]:
    """(C,) the largest magnitude of each channel of each activation."""
    found = run_float(state.graph, fit_rows(state))
    return {n: np.abs(v).reshape(-1, v.shape[-1]).max(axis=0) for n, v in found.items()}


def _factors(
    part: Component, peaks: Mapping[str, Array], never: frozenset[str], strength: float
) -> Array:
    largest = [peaks[n] if part.channels > 1 else peaks[n].max(keepdims=True) for n in part.tensors]
    peak = np.max(largest, axis=0).astype(np.float64)
    top = float(peak.max())
    if top <= 0:
        return np.ones(1)
    floor = np.maximum(peak, top * 2.0**-10)
    shape = (top / floor) ** strength
    top = float((peak * shape).max())
    zero = -128 if all(n in never for n in part.tensors) else 0
    frac = minmax_frac(-top if zero == 0 else 0.0, top, zero)
    fill = (127.0 - zero) * 2.0**-frac / top
    filled: Array = shape * fill
    return filled


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
