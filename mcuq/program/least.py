"""What a network takes at least, whatever its scales will be: known before it is quantized.

Both bounds hold for every kernel and every choice of the quantizer, so that a refusal by them never
hits a network that fits. What they let through may still not fit: ``fit.check`` has the last word.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np

from mcuq.errors import FitError, raise_all, size_text
from mcuq.ir import Array, Graph
from mcuq.ops import has_weights, is_view, layout_of
from mcuq.targets.boards import Board

_NEAR_ZERO = 1 / 16
"""A weight that is smaller, beside the largest of its channel, might become 0 and not be stored."""

_LEVELS = 8
_CODE, _SHORT_CODE = 0.5, 0.25
"""Bytes of the codes of 16 values and of 4."""


def check(graph: Graph, board: Board) -> None:
    """FitError if ``graph``, ready to be quantized, cannot fit ``board`` at all."""
    needs = (
        ("flash", least_flash(graph), board.flash.length),
        ("RAM", least_ram(graph), board.ram.length),
    )
    raise_all([error for need in needs for error in _over(graph.name, *need, board)])


def least_flash(graph: Graph) -> int:
    """Bytes that the weights take in the smallest format that could be chosen for them."""
    return int(sum(_least_bytes(*layer) for layer in _layers(graph)))


def least_ram(graph: Graph) -> int:
    """Bytes of the most activations that must be kept between two nodes, one an element.

    Every input and output counts throughout: they are the caller's buffers.
    """
    root: dict[str, str] = {}
    for node in graph.nodes:
        if is_view(node):
            root[node.output] = root.get(node.inputs[0], node.inputs[0])
    last: dict[str, int] = {}
    born: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        last.update((root.get(name, name), index) for name in node.inputs)
        if not is_view(node):
            born[node.output] = index
    ports = {root.get(p.tensor, p.tensor) for p in (*graph.inputs, *graph.outputs)}
    sizes = {name: prod(graph.shape(name)) for name in (*born, *ports)}
    inner = [(sizes[n], first, last.get(n, first)) for n, first in born.items() if n not in ports]
    kept = (sum(s for s, first, end in inner if first <= i < end) for i in range(len(graph.nodes)))
    return sum(sizes[name] for name in ports) + max(kept, default=0)


def _layers(graph: Graph) -> Iterable[tuple[Array, int]]:
    """The weights of each layer, once, and the axis of its output channels."""
    layers = {n.inputs[1]: layout_of(n).outputs for n in graph.nodes if has_weights(n)}
    return [(graph.data(name), axis) for name, axis in layers.items()]


def _least_bytes(weights: Array, axis: int) -> float:
    """Of weights that surely are not 0, and have more than four values, half a byte each."""
    rows = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    peak = np.abs(rows).max(axis=1, initial=0.0, keepdims=True)
    shares = rows / np.where(peak > 0, peak, 1.0)
    levels = max(len(np.unique(np.round(row * _LEVELS))) for row in shares)
    kept = int((np.abs(shares) >= _NEAR_ZERO).sum())
    return kept * (_CODE if levels > 2 * 4 else _SHORT_CODE)


def _over(name: str, what: str, needed: int, has: int, board: Board) -> Iterable[FitError]:
    if needed > has:
        reason = (
            f"needs {size_text(needed)} {what} at least, {board.name} has {size_text(has)} "
            f"(over by {size_text(needed - has)})"
        )
        remedy = "Choose a larger board or a smaller network; see 'mcuq estimate MODEL --all'"
        yield FitError(name, reason, remedy)
