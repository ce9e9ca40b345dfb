"""What a network takes at least, whatever its scales will be: known before it is quantized.

Both bounds are meant to hold for every kernel and every choice of the quantizer. What they let
through may still not fit: ``fit.check`` has the last word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import numpy as np

from mcuq.errors import FitError, size_text
from mcuq.ir import Array, Graph
from mcuq.ops import has_weights, is_view, layout_of
from mcuq.ops.parts.layout import rows_along
from mcuq.targets.boards import Board

_NEAR_ZERO = 1 / 16
"""A weight that is smaller, beside the largest of its channel, might become 0 and not be stored.

Rounding alone makes zeros of less than 1/64; the rest is room for what rescales input channels.
"""

_DEAD, _SILENT = 2.0**-10, 2.0**-16
"""Channels whose largest weight is smaller, beside that of the layer or at all, may become 0."""

_FINE, _COARSE = 31, 8
"""So many steps from 0 to the largest weight: integers have at least twice as many.

Weights on two steps that are not neighbours never become one integer. A channel on more than 32
steps of the fine scale thus has more than 16 integers, one on more than 8 of the coarse scale more
than 4.
"""
_CODE, _SHORT_CODE = 0.5, 0.25
"""Bytes of the codes of 16 values and of 4."""


@dataclass(frozen=True)
class Faults:
    """What is too small for a network; None for what may be enough."""

    flash: FitError | None
    ram: FitError | None


def faults(graph: Graph, board: Board) -> Faults:
    """Which memories of ``board`` cannot hold ``graph``, ready to be quantized."""
    return Faults(
        _over(graph.name, "flash", least_flash(graph), board.flash.length, board),
        _over(graph.name, "RAM", least_ram(graph), board.ram.length, board),
    )


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
    """Those that surely are not 0, a byte each, or a code where so few values might do."""
    rows = rows_along(weights, axis)
    peak = np.abs(rows).max(axis=1, initial=0.0, keepdims=True)
    alive = peak[:, 0] >= max(_DEAD * float(peak.max(initial=0.0)), _SILENT)
    if not alive.any():
        return 0.0
    shares = rows[alive] / peak[alive]
    kept = int((np.abs(shares) >= _NEAR_ZERO).sum())
    if _levels(shares, _FINE) > 2 * 16:
        return kept
    return kept * (_CODE if _levels(shares, _COARSE) > 2 * 4 else _SHORT_CODE)


def _levels(shares: Array, steps: int) -> float:
    """On how many steps the weights of a channel lie, at least half of the channels on more."""
    return float(np.median([len(np.unique(np.round(row * steps))) for row in shares]))


def _over(name: str, what: str, needed: int, has: int, board: Board) -> FitError | None:
    if needed <= has:
        return None
    reason = (
        f"needs {size_text(needed)} {what} at least, {board.name} has {size_text(has)} "
        f"(over by {size_text(needed - has)})"
    )
    remedy = "Choose a larger board or a smaller network; see 'mcuq estimate MODEL --all'"
    return FitError(name, reason, remedy)
