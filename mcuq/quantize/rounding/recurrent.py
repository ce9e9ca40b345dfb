"""Rounding of recurrent layers: as that of other layers, for the vectors that meet inside of them.

These are what the float layer has at each of its steps, for the rounded input that arrives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import spec
from mcuq.ops.parts.coded import exponents_of
from mcuq.ops.parts.exact import MANTISSA, power_above, snapped_array, units
from mcuq.ops.spec import Section
from mcuq.qir import QTensor
from mcuq.quantize.factors import power_of
from mcuq.quantize.given import kept_weights
from mcuq.quantize.rounding.layers import MAX_DEPTH, Moments, Sums
from mcuq.quantize.rounding.least import compensated, damped
from mcuq.quantize.simulate import Simulation
from mcuq.quantize.state import State
from mcuq.quantize.structure import recurrent

MOST_VECTORS = 1 << 13
"""So many of the steps' vectors are looked at, evenly spaced."""

DAMPING = 0.05
"""Of a state, which has 16 bits, and of an input beside it."""

Chosen = tuple[dict[str, QTensor], dict[str, Array]]
"""Integer weights and corrected biases, by the constants' names."""


def own_recurrent(graph: Graph) -> tuple[Node, ...]:
    """The recurrent nodes whose matrices and biases no other node reads, and no model has given."""
    kept = kept_weights(graph)
    return tuple(
        node
        for node in recurrent(graph)
        if not kept.keys() & set(node.inputs[1:3])
        and all(len(graph.consumers(name)) == 1 for name in node.inputs[1:4])
    )


def round_recurrent(
    state: State,
    node: Node,
    exact: Mapping[str, Array],
    simulation: Simulation,
    biases_only: bool = False,
) -> Chosen:
    """The matrices and biases of ``node``, or its biases alone, its matrices as they are."""
    w, r, b = node.inputs[1:4]
    weights = {name: state.weights[name] for name in (w, r)}
    source = node.inputs[0]
    pairs = zip(
        _sections(state, node, exact[source]),
        _sections(state, node, simulation.value(source)),
        strict=True,
    )
    integers = {name: np.array(weights[name].data) for name in (w, r)}
    bias = state.graph.data(b).astype(np.float64)
    coded = any(exponents_of(state.graph.data(name), 0) is not None for name in (w, r))
    kept = biases_only or coded
    for before, after in pairs:
        names = [n for n, part in ((w, after.input), (r, after.state)) if part is not None]
        real = np.concatenate([state.graph.data(n)[after.rows] for n in names], 1)[None]
        real = real.astype(np.float64)
        fracs = np.concatenate([_fracs(weights[n])[after.rows] for n in names], 1)[None]
        known = _moments(before, after)
        plain = np.concatenate([integers[n][after.rows] for n in names], 1)[None]
        found = plain if kept else _rounded(real, fracs, known, plain)
        gap = real * known.mean_exact[:, None] - found * 2.0**-fracs * known.mean_rounded[:, None]
        bias[after.biases] += gap.sum(axis=(0, 2))
        _put(integers, names, after.rows, found[0])
    made = {name: replace(weights[name], data=integers[name]) for name in (w, r)}
    return {} if biases_only else made, {b: bias.astype(np.float32)}


def _rounded(real: Array, fracs: Array, known: Moments, plain: Array) -> Array:
    """Integers (1, rows, depth) for ``real``; ``plain`` of a row for which these are better."""
    depth = real.shape[2]
    hessian = damped(known, DAMPING) if depth <= MAX_DEPTH else None
    if hessian is None:
        return plain
    found = compensated(real, real != 0, hessian, fracs)
    errors = [power_of(v * 2.0**-fracs - real, hessian.matrix) for v in (found, plain)]
    better: Array = np.where((errors[0] <= errors[1])[:, :, None], found, plain)
    return better.astype(np.int8)


def _put(integers: dict[str, Array], names: Sequence[str], rows: slice, found: Array) -> None:
    """Write the integers of a section back into the matrices."""
    first = 0
    for name in names:
        last = first + integers[name].shape[1]
        integers[name][rows] = found[:, first:last]
        first = last


def _fracs(weights: QTensor) -> Array:
    """(R, n): the frac of each weight."""
    rows = np.array(weights.frac, np.float64).reshape(-1, 1)
    return np.broadcast_to(rows, weights.shape)


def _sections(state: State, node: Node, x: Array) -> tuple[Section, ...]:
    import torch

    found = spec(node.op).sections
    if found is None:
        raise TypeError(f"{node.op} has no sections")
    constants = [state.graph.data(name) for name in node.inputs[1:]]
    with torch.no_grad():
        inputs = [torch.from_numpy(np.array(value, np.float64)) for value in (x, *constants)]
        return found(node, inputs)


def _moments(before: Section, after: Section) -> Moments:
    """Of the vectors of a section, exact and rounded, on a grid on which their sums are exact."""
    import torch

    a, q = _vectors(before), _vectors(after)
    peaks = np.maximum(np.abs(a).max(axis=0), np.abs(q).max(axis=0))
    unit = units(power_above(peaks), (MANTISSA - 1 - len(a).bit_length()) // 2)
    sums = Sums()
    sums.add(*(torch.from_numpy(snapped_array(v, unit))[None] for v in (a, q)))
    return sums.moments()


def _vectors(section: Section) -> Array:
    """(M, depth): what the rows meet, of both matrices beside each other."""
    parts = [part for part in (section.input, section.state) if part is not None]
    found = np.concatenate([part.numpy() for part in parts], axis=1)
    return found[:: -(-len(found) // MOST_VECTORS)]
