"""How the operands of add, sub and mul spread over the output, and their shape rule.

The output is seen as ``rows * inner`` elements; an operand moves along rows, along inner, along
both or along neither. That covers equal shapes, per-channel (..., C), per-position (..., 1) and
scalar operands on either side, also both at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from mcuq.ir import Node, Shape


@dataclass(frozen=True)
class Spread:
    """The output as ``rows * inner``; element (r, i) of operand k lies at
    ``row_step[k] * r + inner_step[k] * i``.
    """

    rows: int
    inner: int
    row_step: tuple[int, ...]
    inner_step: tuple[int, ...]


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The common shape of the operands by the rule of numpy."""
    rank = max(len(s) for s in shapes)
    return tuple(max(sizes) for sizes in zip(*(_padded(s, rank) for s in shapes), strict=True))


def spread(shapes: Sequence[Shape], output: Shape) -> Spread | None:
    """How ``shapes`` spread over ``output``, or None where two loops cannot say it.

    >>> spread([(1, 4, 4, 8), (8,)], (1, 4, 4, 8))
    Spread(rows=16, inner=8, row_step=(8, 0), inner_step=(1, 1))
    >>> spread([(1, 4, 4, 8), (1, 4, 4, 8)], (1, 4, 4, 8)).rows
    1
    """
    padded = [_padded(s, len(output)) for s in shapes]
    for split in (0, *reversed(range(len(output)))):
        rows, inner = prod(output[:split]), prod(output[split:])
        steps = [_steps(s, output, split) for s in padded]
        known = [s for s in steps if s is not None]
        if len(known) == len(steps):
            return Spread(rows, inner, tuple(s[0] for s in known), tuple(s[1] for s in known))
    return None


def _steps(shape: Shape, output: Shape, split: int) -> tuple[int, int] | None:
    """(row step, inner step) of one operand, None if part of a side repeats."""
    rows, inner = prod(shape[:split]), prod(shape[split:])
    whole_rows, whole_inner = prod(output[:split]), prod(output[split:])
    if rows not in (1, whole_rows) or inner not in (1, whole_inner):
        return None
    moves_inner = 0 if inner == 1 else 1
    return (0 if rows == 1 else inner), moves_inner


def spreads(node: Node, shapes: Sequence[Shape]) -> bool:
    """The operands have equal shapes, or one is a scalar, one value per channel or per position."""
    return compatible(shapes) and spread(shapes, infer(node, shapes)) is not None


def compatible(shapes: Sequence[Shape]) -> bool:
    """Whether every pair of sizes is equal or has a 1."""
    rank = max(len(s) for s in shapes)
    sizes = zip(*(_padded(s, rank) for s in shapes), strict=True)
    return all(len({v for v in pair if v != 1}) <= 1 for pair in sizes)


def _padded(shape: Shape, rank: int) -> Shape:
    return (1,) * (rank - len(shape)) + tuple(shape)
