"""One layer's weights made sparse, or of few values, or both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mcuq.compress.cluster import clustered
from mcuq.compress.compensate import bias_of, target_of
from mcuq.compress.constraint import Constraint
from mcuq.compress.levels import linear, logarithmic
from mcuq.compress.request import CLUSTER4_OR_EVEN
from mcuq.compress.tables import Rows, Table, constraint_of, error_of, nearest, weights_of
from mcuq.ir import Array, Graph, Node
from mcuq.ops import layout_of
from mcuq.quantize.factors import Factored, settled
from mcuq.quantize.rounding.layers import Moments, from_rows, to_rows

EVEN = 1.25
"""Where an even scale is much faster it may err so many times as much as clusters: 1 dB."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """What a layer is to become: ``mask`` is False where a weight goes, ``codes`` one of
    ``request.CODES``; ``power``: E[x * x] of what each weight multiplies.
    """

    mask: Array | None
    codes: str | None
    power: Array
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Made:
    """The new weights and bias, what keeps the weights so while they are tuned, and the table of
    their values if they share some.
    """

    weights: Array
    bias: Array
    constraint: Constraint
    table: Table | None = None


def compressed_layer(graph: Graph, node: Node, wanted: Wanted, known: Moments | None) -> Made:
    """``node`` as ``wanted``; with ``known``, the moments of its inputs, errors are made up for."""
    _, w, b = node.inputs
    axis, weights = layout_of(node).outputs, graph.data(w).astype(np.float64)
    real = to_rows(node, graph, weights)
    free = np.ones(real.shape, bool)
    if wanted.mask is not None:
        free = to_rows(node, graph, wanted.mask)
    aim = None if known is None else target_of(real, known)
    found = real * free if aim is None else aim[0]
    if aim is not None and wanted.mask is not None:
        found = settled(*aim, lambda k, column: column * free[:, :, k])
    weights = from_rows(node, graph, found)
    constraint, table = Constraint("mask", wanted.mask), None
    if wanted.codes:
        rows = Rows.of(weights, axis, wanted.power, wanted.mask)
        table = table_of(rows, wanted.codes, wanted.seed)
        if aim is not None:
            found = _settled_in(table, found, aim[1], free)
            weights = from_rows(node, graph, found)
            rows = Rows.of(weights, axis, wanted.power, wanted.mask)
            codes = nearest(rows.scaled(table.exponents), table.levels)
            table = replace(table, codes=codes)
        weights = weights_of(table, rows, weights.shape, axis)
        constraint = constraint_of(table, rows, weights.shape, axis)
    bias = graph.data(b)
    if known is not None:
        bias = bias_of(bias, real, to_rows(node, graph, weights.astype(np.float64)), known)
    return Made(weights.astype(np.float32), bias.astype(np.float32), constraint, table)


def table_of(rows: Rows, codes: str, seed: int) -> Table:
    """The table that ``codes`` asks for."""
    if codes == "log":
        return logarithmic(rows)
    if codes == "int4":
        return linear(rows)
    table = clustered(rows, 4 if codes == "cluster2" else 16, seed)
    if codes == CLUSTER4_OR_EVEN:
        even = linear(rows)
        if error_of(rows, even) <= EVEN * error_of(rows, table):
            return even
    return table


def _settled_in(table: Table, target: Array, hessian: Factored, free: Array) -> Array:
    """(groups, outputs, depth) weights with values of ``table``, each one's error made up for."""
    scale = (2.0 ** table.exponents.astype(np.float64)).reshape(target.shape[:2])

    def settle(k: int, column: Array) -> Array:
        levels = table.levels[nearest(column / scale, table.levels)] * scale
        return np.where(free[:, :, k], levels, 0.0)

    return settled(target, hessian, settle)
