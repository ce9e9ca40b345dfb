"""Layer-wise rounding that makes up for its own errors, and for those of the layers before.

For each layer, in order: the weights move to the least-squares solution for the rounded inputs
that actually arrive; then one input's weights after the other are rounded, and the error of each is
spread over the weights not yet rounded, as the covariance of the inputs allows (the optimal brain
surgeon's update, Hassibi and Stork 1993; column by column as in GPTQ, Frantar et al. 2022). The
bias absorbs the means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import layout_of
from mcuq.ops.coded import exponents_of
from mcuq.qir import QTensor
from mcuq.quantize import wide
from mcuq.quantize.guard import fit_rows
from mcuq.quantize.ranges.scales import weight_fracs
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
from mcuq.quantize.simulate import Simulation, dequantized, rounded_pad
from mcuq.quantize.state import State
from mcuq.reference import run_float

DAMPING = 1.0
"""Added to the covariance, as a share of its mean diagonal: keeps the solution near the weights."""

DAMPING_S16 = 0.05
"""The same where inputs are s16: these carry hardly any noise."""


def round_layers(state: State) -> State:
    """Every layer's weights rounded anew, and its bias.

    Of very deep layers only the bias, and of those whose weights share a table. Zeros stay.
    """
    feeds = fit_rows(state)
    graph = state.graph
    layers = own_layers(graph)
    exact = run_float(graph, feeds, {node.inputs[0] for node in layers})
    simulation = Simulation(state, feeds)
    weights, biases = {}, {}
    for index, node in enumerate(layers):
        state.options.report("rounding", index / len(layers))
        source, w, b = node.inputs
        if depth_of(node, graph) > MAX_DEPTH or _is_coded(node, graph):
            biases[b] = corrected_bias(state, node, exact, simulation)
            simulation.commit(constants={b: biases[b]})
            continue
        padded = rounded_pad(node, state.acts)
        known = moments(node, graph, exact[source], padded, simulation.value(source))
        weights[w], biases[b] = _round_layer(state, node, known)
        simulation.commit(constants={w: dequantized(weights[w]), b: biases[b]})
    return state.with_weights(weights).with_biases(biases)


def _is_coded(node: Node, graph: Graph) -> bool:
    return exponents_of(graph.data(node.inputs[1]), layout_of(node).outputs) is not None


def _round_layer(state: State, node: Node, known: Moments) -> tuple[QTensor, Array]:
    """The integer weights of ``node``, and the bias that keeps the means."""
    graph, (_, w, b) = state.graph, node.inputs
    real = to_rows(node, graph, graph.data(w).astype(np.float64))
    is_wide = state.acts[node.inputs[0]].kind == "s16"
    hessian = damped(known, DAMPING_S16 if is_wide else DAMPING)
    free = real != 0
    target = real + real @ drift(known.cross, hessian)
    first = np.array(
        weight_fracs(from_rows(node, graph, target * free), layout_of(node).outputs, 0)
    )
    low = wide.lowest_weight_frac(node, state.acts)
    options = [np.clip(first + bits, low, low + 31).reshape(real.shape[:2]) for bits in (0, 1)]
    integers, fracs = _least_error(target, free, hessian, options)
    means = np.einsum("gok,gk->go", real, known.mean_exact)
    reals = integers * 2.0 ** -fracs.astype(np.float64)[:, :, None]
    means -= np.einsum("gok,gk->go", reals, known.mean_rounded)
    data = from_rows(node, graph, integers).astype(np.int8)
    rounded = QTensor(w, data.shape, "s8", tuple(fracs.reshape(-1).tolist()), 0, data)
    return rounded, (graph.data(b) + means.reshape(-1)).astype(np.float32)


def _least_error(
    target: Array, free: Array, hessian: Array, options: Sequence[Array]
) -> tuple[Array, Array]:
    """The integers, and per output the frac of ``options`` with the least error of the output."""
    found = []
    for fracs in options:
        integers = compensated(target, free, hessian, fracs)
        gap = integers * 2.0 ** -fracs.astype(np.float64)[:, :, None] - target
        found.append((integers, np.einsum("gok,gok->go", gap @ hessian, gap)))
    best = np.argmin([error for _, error in found], axis=0)
    integers = np.choose(best[:, :, None], [integers for integers, _ in found])
    return integers, np.choose(best, list(options))


def compensated(target: Array, free: Array, hessian: Array, fracs: Array) -> Array:
    """(groups, outputs, depth) reals -> integers, each rounding's error spread over the rest.

    Where ``free`` is False the integer is 0: that, too, is made up for (SparseGPT, Frantar and
    Alistarh 2023). ``hessian`` (groups, depth, depth) is positive definite; ``fracs`` (groups,
    outputs).
    """
    scale = 2.0 ** fracs.astype(np.float64)

    def settle(k: int, column: Array) -> Array:
        steps = np.clip(np.floor(column * scale + 0.5), -128, 127)
        rounded: Array = steps * free[:, :, k] / scale
        return rounded

    return settled(target, hessian, settle) * scale[:, :, None]


def settled(target: Array, hessian: Array, settle: Callable[[int, Array], Array]) -> Array:
    """``target`` with the weights of one input after the other replaced as ``settle`` says.

    ``settle(k, column)``: (groups, outputs) reals of input ``k`` -> what they become. The error
    moves the weights of the inputs that are still to come.
    """
    order = np.argsort(-np.einsum("gkk->gk", hessian).sum(axis=0), kind="stable")
    upper = _update_rows(hessian[:, order][:, :, order])
    left = target[:, :, order].copy()
    found = np.empty_like(target)
    for place, k in enumerate(order.tolist()):
        column = settle(k, left[:, :, place])
        found[:, :, k] = column
        error = (left[:, :, place] - column) / upper[:, None, place, place]
        left[:, :, place + 1 :] -= error[:, :, None] * upper[:, None, place, place + 1 :]
    return found


def drift(cross: Array, hessian: Array) -> Array:
    """``cross`` times the inverse of ``hessian``, per group."""
    import torch

    solved = torch.linalg.solve(torch.from_numpy(hessian), torch.from_numpy(cross).mT)
    return np.asarray(solved.mT.numpy())


def _update_rows(hessian: Array) -> Array:
    """(groups, depth, depth) upper triangular: row k spreads the error of weight k.

    It is U of inverse(hessian) = U' U.
    """
    import torch

    inverse = torch.linalg.inv(torch.from_numpy(hessian))
    return np.asarray(torch.linalg.cholesky(inverse).mT.numpy())


def damped(known: Moments, share: float) -> Array:
    """The covariance of the inputs with ``share`` of its mean diagonal added to the diagonal.

    That of constant inputs, whose own is but the rounding of sums, counts by their size.
    """
    covariance = known.covariance
    level = np.einsum("gkk->gk", covariance).mean(axis=1)
    level = np.maximum(level, 1e-12) * share
    level = np.maximum(level, 1e-5 * np.square(known.mean_rounded).mean(axis=1))
    damped: Array = covariance + level[:, None, None] * np.eye(covariance.shape[1])
    return damped
