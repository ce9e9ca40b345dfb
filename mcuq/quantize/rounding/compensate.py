"""Layer-wise rounding that makes up for its own errors, and for those of the layers before.

For each layer, in order: the weights move to the least-squares solution for the rounded inputs
that actually arrive, then they are rounded (``least.py``). The bias absorbs the means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import layout_of
from mcuq.ops.parts.coded import exponents_of
from mcuq.qir import QTensor
from mcuq.quantize import wide
from mcuq.quantize.factors import Factored, power_of
from mcuq.quantize.guard import fit_rows
from mcuq.quantize.ranges.scales import weight_fracs
from mcuq.quantize.reals import dequantized
from mcuq.quantize.rounding.bias import corrected_bias
from mcuq.quantize.rounding.layers import (
    MAX_DEPTH,
    Moments,
    depth_of,
    from_rows,
    moments,
    own_layers,
    to_rows,
)
from mcuq.quantize.rounding.least import aimed, compensated, damped
from mcuq.quantize.rounding.recurrent import Chosen, own_recurrent, round_recurrent
from mcuq.quantize.simulate import Simulation, rounded_pad
from mcuq.quantize.state import State
from mcuq.reference import run_exact

DAMPING = 1.0
"""Added to the covariance, as a share of its mean diagonal: keeps the solution near the weights."""

DAMPING_S16 = 0.05
"""The same where inputs are s16: these carry hardly any noise."""


def round_layers(state: State) -> State:
    """Every layer's weights rounded anew, and its bias.

    Of very deep layers only the bias, and of those whose weights share a table, or whose inputs
    have no covariance in float64. Zeros stay.
    """
    feeds = fit_rows(state)
    graph = state.graph
    layers, cells = own_layers(graph), own_recurrent(graph)
    ordered = [node for node in graph.nodes if node in (*layers, *cells)]
    exact = run_exact(graph, feeds, {node.inputs[0] for node in ordered})
    simulation = Simulation(state, feeds)
    weights: dict[str, QTensor] = {}
    biases: dict[str, Array] = {}
    for index, node in enumerate(ordered):
        state.options.report("rounding", index / len(ordered))
        if node in cells:
            made = round_recurrent(state, node, exact, simulation)
        else:
            made = _round_one(state, node, exact, simulation)
        weights.update(made[0])
        biases.update(made[1])
        reals = {name: dequantized(found) for name, found in made[0].items()}
        simulation.commit(constants={**made[1], **reals})
    return state.with_weights(weights).with_biases(biases)


def _round_one(
    state: State, node: Node, exact: Mapping[str, Array], simulation: Simulation
) -> Chosen:
    """The integers and the bias of a layer, or its bias alone."""
    source, w, b = node.inputs
    graph = state.graph
    if depth_of(node, graph) <= MAX_DEPTH and not _is_coded(node, graph):
        padded = rounded_pad(node, state.acts)
        known = moments(node, graph, exact[source], padded, simulation.value(source))
        made = _round_layer(state, node, known)
        if made is not None:
            return {w: made[0]}, {b: made[1]}
    return {}, {b: corrected_bias(state, node, exact, simulation)}


def _is_coded(node: Node, graph: Graph) -> bool:
    return exponents_of(graph.data(node.inputs[1]), layout_of(node).outputs) is not None


def _round_layer(state: State, node: Node, known: Moments) -> tuple[QTensor, Array] | None:
    """The integer weights of ``node``, and the bias that keeps the means; None without factors."""
    graph, (_, w, b) = state.graph, node.inputs
    real = to_rows(node, graph, graph.data(w).astype(np.float64))
    is_wide = state.acts[node.inputs[0]].kind == "s16"
    hessian = damped(known, DAMPING_S16 if is_wide else DAMPING)
    if hessian is None:
        return None
    free = real != 0
    target = aimed(real, known, hessian)
    first = np.array(
        weight_fracs(from_rows(node, graph, target * free), layout_of(node).outputs, 0)
    )
    low = wide.lowest_weight_frac(node, state.acts)
    options = [np.clip(first + bits, low, low + 31).reshape(real.shape[:2]) for bits in (0, 1)]
    integers, fracs = _least_error(target, free, hessian, options)
    means = (real * known.mean_exact[:, None]).sum(axis=2)
    reals = integers * 2.0 ** -fracs.astype(np.float64)[:, :, None]
    means -= (reals * known.mean_rounded[:, None]).sum(axis=2)
    data = from_rows(node, graph, integers).astype(np.int8)
    rounded = QTensor(w, data.shape, "s8", tuple(fracs.reshape(-1).tolist()), 0, data)
    return rounded, (graph.data(b) + means.reshape(-1)).astype(np.float32)


def _least_error(
    target: Array, free: Array, hessian: Factored, options: Sequence[Array]
) -> tuple[Array, Array]:
    """The integers, and per output the frac of ``options`` with the least error of the output."""
    found = []
    for fracs in options:
        integers = compensated(target, free, hessian, fracs[:, :, None])
        gap = integers * 2.0 ** -fracs.astype(np.float64)[:, :, None] - target
        found.append((integers, power_of(gap, hessian.matrix)))
    best = np.argmin([error for _, error in found], axis=0)
    integers = np.choose(best[:, :, None], [integers for integers, _ in found])
    return integers, np.choose(best, list(options))
