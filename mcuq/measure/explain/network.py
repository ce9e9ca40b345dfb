"""The numbers of an integer network as the state of a quantization, and the rows to run on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from mcuq.data.rows import evenly
from mcuq.ir import Array, Graph, Node
from mcuq.ops import layout_of
from mcuq.ops.parts.layout import rows_along
from mcuq.qir import QGraph, QTensor, frac_of
from mcuq.quantize.state import Options, State
from mcuq.quantize.structure import activations, weighted
from mcuq.quantize.wide import with_copy
from mcuq.reference import port_to_int
from mcuq.sequences import unrolled

ROWS = 32


def state_of(graph: Graph, qgraph: QGraph, feeds: Mapping[str, Array]) -> State:
    """The numbers of ``qgraph`` as the state of a quantization of ``graph``."""
    acts = {name: qgraph.tensors[name] for name in activations(graph)}
    acts.update(_with_copies(acts, qgraph))
    weights, biases = {}, {}
    layers = {node.name: node for node in qgraph.nodes}
    for node in weighted(graph):
        layer = layers[node.name]
        weights[node.inputs[1]] = qgraph.tensors[layer.inputs[1]]
        biases[node.inputs[2]] = _real_bias(layer, qgraph)
    return State(graph, feeds, Options(), acts=acts, weights=weights, biases=biases)


def _with_copies(acts: Mapping[str, QTensor], qgraph: QGraph) -> Iterator[tuple[str, QTensor]]:
    """Activations of 16 bits of which operators of 8 bits read a copy."""
    for node in qgraph.nodes:
        source, copy = node.inputs[0], qgraph.tensors[node.output]
        is_copy = node.op == "requant" and node.output not in acts and copy.kind == "s8"
        if is_copy and source in acts and acts[source].kind == "s16":
            yield source, with_copy(acts[source], copy)


def _real_bias(layer: Node, qgraph: QGraph) -> Array:
    """The bias without the rounding constant and the zeros that are folded into it."""
    x, y = qgraph.tensors[layer.inputs[0]], qgraph.tensors[layer.output]
    weights, bias = (qgraph.data(name) for name in layer.inputs[1:])
    sums = rows_along(weights.astype(np.int64), layout_of(layer).outputs).sum(axis=1)
    shift = np.array(layer.ints("shift"), np.int64)
    steps = bias + x.zero * sums - ((1 << shift) >> 1) - y.zero * (1 << shift)
    reals: Array = steps * 2.0 ** -np.array(qgraph.tensors[layer.inputs[2]].frac, np.float64)
    return reals.astype(np.float32)


def is_corrected(state: State, node: Node) -> bool:
    """Whether the bias of ``node`` is not just the rounded bias of the float network."""
    bias = state.biases[node.inputs[2]]
    frac = np.array(state.weights[node.inputs[1]].frac) + frac_of(state.acts[node.inputs[0]])
    gap = np.abs(bias - state.graph.data(node.inputs[2]))
    return bool((gap > 1e-6 * np.abs(bias) + 2.0 ** -frac.astype(np.float64)).any())


def inputs(
    graph: Graph,
    qgraph: QGraph,
    vectors: Mapping[str, Array],
    feeds: Mapping[str, Array] | None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """By input name: what the integer network reads, and what ``graph`` reads.

    Steps of a stream stand beside the states that the float network has there.
    """
    integers, reals = {}, {}
    feeds = None if feeds is None else unrolled(graph, feeds)
    for port, outer in zip(graph.inputs, qgraph.inputs, strict=True):
        act = qgraph.tensors[outer.tensor]
        given = vectors[port.name] if feeds is None else feeds[port.name]
        given = given[evenly(len(given), ROWS)]
        if feeds is None or given.dtype.kind in "iu":
            integers[port.name] = given
            reals[port.name] = real(given, act)
            continue
        integers[port.name] = port_to_int(outer, given)
        scale, offset = np.array(outer.scale), np.array(outer.offset)
        steps = given.astype(np.float64) / scale + offset - act.zero
        reals[port.name] = steps * 2.0 ** -frac_of(act)
    return integers, {n: v.astype(np.float32) for n, v in reals.items()}


def real(integers: Array, act: QTensor) -> Array:
    """The reals that the integers of an activation stand for, float64."""
    reals: Array = (integers.astype(np.float64) - act.zero) * 2.0 ** -frac_of(act)
    return reals
