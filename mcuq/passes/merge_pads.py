"""Merges a pad of height and width into the convolutions and pools that read it."""

from __future__ import annotations

import math
from dataclasses import replace

from mcuq.ir import Graph, Node
from mcuq.ops import spec
from mcuq.ops.spec import Padding
from mcuq.passes.rewrite import allowed, shapes_of, swap_last, until_stable


def merge_pads(graph: Graph) -> Graph:
    """``graph`` with pads merged where that gives the same numbers.

    Convolutions take any value; average pools 0, counted; maximum pools a value that cannot win.
    """
    return until_stable(_with_pad, graph)


def _with_pad(graph: Graph, node: Node) -> Graph | None:
    is_pad = node.op == "pad" and _in_plane(node)
    for reader in graph.consumers(node.output) if is_pad else ():
        merged = _merged(graph, node, reader)
        if merged is not None and allowed(merged, shapes_of(graph, merged)):
            return swap_last(graph, [reader], [merged])
    return None


def _in_plane(pad: Node) -> bool:
    pairs = pad.attrs["pads"]
    return len(pairs) == 4 and tuple(pairs[0]) == tuple(pairs[3]) == (0, 0)


def _merged(graph: Graph, pad: Node, reader: Node) -> Node | None:
    rule = _RULES.get(spec(reader.op).padding)
    if rule is None or reader.inputs[0] != pad.output:
        return None
    value = tuple(float(v) for v in pad.attrs["value"])
    changed = rule(graph, pad, reader, value)
    if changed is None:
        return None
    (_, _), (top, bottom), (left, right), _ = pad.attrs["pads"]
    own = reader.ints("pads")
    pads = (own[0] + top, own[1] + left, own[2] + bottom, own[3] + right)
    moved = replace(changed, inputs=(pad.inputs[0], *reader.inputs[1:]))
    return moved.with_attrs(pads=pads)


def _conv(graph: Graph, pad: Node, reader: Node, value: tuple[float, ...]) -> Node | None:
    own = {float(v) for v in reader.attrs["pad_value"]}
    if any(reader.ints("pads")) and (own != set(value) or len(own) > 1):
        return None
    return reader.with_attrs(pad_value=value)


def _average(graph: Graph, pad: Node, reader: Node, value: tuple[float, ...]) -> Node | None:
    if any(value) or (any(reader.ints("pads")) and not reader.attrs["include_pad"]):
        return None
    return reader.with_attrs(include_pad=True)


def _maximum(graph: Graph, pad: Node, reader: Node, value: tuple[float, ...]) -> Node | None:
    maker = graph.producer(pad.inputs[0])
    floor = -math.inf if maker is None else spec(maker.op).bounds(maker)[0]
    return reader if max(value) <= floor else None


_RULES = {
    Padding.VALUE: _conv,
    Padding.ZERO: _average,
    Padding.LOWEST: _maximum,
}
