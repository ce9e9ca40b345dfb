"""The numbers of a graph: chosen by the quantizer's own rules, and written down as hints.

A graph whose hints are all powers of two is quantized without data, and keeps them (``given``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mcuq.ir import Array, Graph, Hint, Tensor
from mcuq.ops import layout_of, spec
from mcuq.qir import QTensor, frac_of
from mcuq.quantize import Options
from mcuq.quantize.ranges import joins, scales
from mcuq.quantize.reals import dequantized
from mcuq.quantize.state import State
from mcuq.quantize.structure import activations, weighted
from mcuq.train.options import Quantize

_BITS = {"s8": 8, "s16": 16}


def observed(graph: Graph, feeds: Mapping[str, Array], quantize: Quantize) -> State:
    """``graph`` with the numbers of every activation that suit the rows of ``feeds``."""
    state = State(graph, feeds, Options(bits=quantize.by_name))
    for step in (scales.observe, joins.split_concats, scales.choose_scales):
        state = step(state)
    return state


def with_numbers(
    graph: Graph, acts: Mapping[str, QTensor], feeds: Mapping[str, Array], quantize: Quantize
) -> Graph:
    """``graph`` with hints for all it holds: ``acts`` where they are known, and for others what
    suits ``feeds``; its weights are those that the integers stand for.
    """
    graph = replace(graph, hints={n: _hint(act) for n, act in acts.items() if act.kind in _BITS})
    inside = any(spec(node.op).inside is not None for node in graph.nodes)
    dictated = scales.dictated(graph)
    unknown = [n for n in activations(graph) if n not in graph.hints and n not in dictated]
    if unknown or inside:
        state = observed(graph, feeds, quantize)
        attrs = {node.output: node.attrs for node in state.graph.nodes}
        nodes = tuple(replace(node, attrs=attrs[node.output]) for node in graph.nodes)
        found = {n: _hint(state.acts[n]) for n in unknown}
        graph = replace(graph, nodes=nodes, hints={**graph.hints, **found})
    return _with_weights(graph)


def _hint(act: QTensor) -> Hint:
    return Hint((2.0 ** -frac_of(act),), act.zero, _BITS[act.kind])


def _with_weights(graph: Graph) -> Graph:
    """Every layer's weights rounded as the quantizer rounds them, with the scales of that."""
    tensors, hints = dict(graph.tensors), dict(graph.hints)
    for node in weighted(graph):
        name, axis = node.inputs[1], layout_of(node).outputs
        fracs = scales.layer_fracs(graph.data(name), axis, 1)
        data = dequantized(scales.round_weights(name, graph.data(name), axis, fracs))
        tensors[name] = Tensor(name, data.shape, data)
        hints[name] = Hint(tuple(2.0**-frac for frac in fracs))
    return replace(graph, tensors=tensors, hints=hints)
