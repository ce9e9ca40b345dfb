"""Program -> Plan: where every tensor and scratch buffer lies in the one arena.

Two buffers may share bytes when their lives do not meet, or when one is the output and the other
a dying input of the same step and the kernel's access order proves it safe (``Variant.gap``).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcuq.errors import brief
from mcuq.program.lower import Program, Step

ALIGN = 4
_TRIALS = 400
_ANY_DISTANCE = 1 << 31


@dataclass(frozen=True)
class Buffer:
    """Bytes that live from step ``first`` to step ``last``, both included."""

    name: str
    size: int
    first: int
    last: int

    def meets(self, other: Buffer) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Placed:
    """A buffer at its byte offset in the arena."""

    buffer: Buffer
    offset: int

    @property
    def end(self) -> int:
        return self.offset + self.buffer.size


@dataclass(frozen=True, repr=False)
class Plan:
    """``tensors`` and ``scratch`` (by step index) at their offsets.

    ``size`` and ``lower_bound`` in bytes; the bound is the largest live set, in-place allowances
    counted.
    """

    tensors: Mapping[str, Placed]
    scratch: Mapping[int, Placed]
    size: int
    lower_bound: int

    def __repr__(self) -> str:
        return brief("Plan", f"{self.size:,} B", f"{len(self.tensors)} tensors")


# (output, input) -> how many bytes before the input the output may start and overlap it.
Gaps = Mapping[tuple[str, str], range]


def plan(program: Program) -> Plan:
    """Place all buffers: first fit in several orders, improved by seeded exchanges."""
    tensors = _tensor_buffers(program)
    scratch = _scratch_buffers(program)
    buffers = [*tensors.values(), *scratch.values()]
    gaps = _gaps(program, tensors)
    bound = _lower_bound(buffers, gaps, len(program.steps))
    offsets = _search(buffers, gaps, bound)
    size = max((offsets[b.name] + b.size for b in buffers), default=0)
    return Plan(
        {name: Placed(b, offsets[b.name]) for name, b in tensors.items()},
        {index: Placed(b, offsets[b.name]) for index, b in scratch.items()},
        size,
        bound,
    )


def align(size: int) -> int:
    """``size`` rounded up to the arena's alignment."""
    return -(-size // ALIGN) * ALIGN


def _tensor_buffers(program: Program) -> dict[str, Buffer]:
    """Every tensor that a step writes and that is not the caller's own output buffer."""
    outputs = {program.root(p.tensor) for p in program.qgraph.outputs}
    born: dict[str, int] = {}
    last: dict[str, int] = {}
    for index, step in enumerate(program.steps):
        born[step.node.output] = last[step.node.output] = index
        for name in program.reads(step):
            last[name] = index
    return {
        name: Buffer(name, align(program.qgraph.tensors[name].bytes), first, last[name])
        for name, first in born.items()
        if name not in outputs
    }


def _scratch_buffers(program: Program) -> dict[int, Buffer]:
    return {
        index: Buffer(f"scratch of step {index}", align(step.scratch), index, index)
        for index, step in enumerate(program.steps)
        if step.scratch
    }


def _gaps(program: Program, tensors: Mapping[str, Buffer]) -> dict[tuple[str, str], range]:
    gaps: dict[tuple[str, str], range] = {}
    for index, step in enumerate(program.steps):
        out = step.node.output
        for name in program.reads(step):
            gap = _gap(program, step, name)
            both = out in tensors and name in tensors
            if gap is not None and both and tensors[name].last == index:
                first = align(gap)
                most = first + 1 if step.variant.gap_exact else _ANY_DISTANCE
                gaps[out, name] = range(first, most)
    return gaps


def _gap(program: Program, step: Step, root: str) -> int | None:
    """The gap that holds for every operand of ``step`` that lies in ``root``.

    Before the whole is before each part, by more; one exact distance does not hold for parts.
    """
    operands = {i: n for i, n in enumerate(step.node.inputs) if program.root(n) == root}
    if step.variant.gap_exact and any(name in program.offsets for name in operands.values()):
        return None
    found = [step.variant.gap(step.node, program.qgraph, index) for index in operands]
    return None if None in found or not found else max(g for g in found if g is not None)


def _lower_bound(buffers: Sequence[Buffer], gaps: Gaps, steps: int) -> int:
    return max((_live(buffers, gaps, index) for index in range(steps)), default=0)


def _live(buffers: Sequence[Buffer], gaps: Gaps, index: int) -> int:
    """The bytes that step ``index`` cannot do without."""
    live = {b.name: b for b in buffers if b.first <= index <= b.last}
    total = sum(b.size for b in live.values())
    saved: dict[str, int] = {}
    for (out, name), gap in gaps.items():
        if out in live and name in live and live[out].first == index == live[name].last:
            overlap = max(0, min(live[name].size, live[out].size - gap.start))
            saved[out] = min(live[out].size, saved.get(out, 0) + overlap)
    return total - sum(saved.values())


def _search(buffers: Sequence[Buffer], gaps: Gaps, bound: int) -> dict[str, int]:
    """Offsets by name; stops early at the lower bound. Deterministic: seeded, ties by order.

    Any buffer moves in the order first, then those around the highest one.
    """
    starts = (
        sorted(buffers, key=lambda b: (-b.size, b.first, b.name)),
        sorted(buffers, key=lambda b: (b.first, -b.size, b.name)),
        sorted(buffers, key=lambda b: (-(b.last - b.first) * b.size, b.first, b.name)),
        sorted(buffers, key=lambda b: (-b.last, -b.size, b.name)),
    )
    near = {b.name: [other.name for other in buffers if b.meets(other)] for b in buffers}
    best_order = min(starts, key=lambda order: _size(buffers, _first_fit(order, gaps, near)))
    best = _first_fit(best_order, gaps, near)
    order, chance = list(best_order), random.Random(0)
    for trial in range(2 * _TRIALS):
        if len(order) < 2 or _size(buffers, best) <= bound:
            break
        high = _at_the_top(order, best, near) if trial >= _TRIALS else range(len(order))
        moved = list(order)
        one = moved.pop(chance.choice(high))
        moved.insert(chance.randrange(len(moved) + 1), one)
        offsets = _first_fit(moved, gaps, near)
        if _size(buffers, offsets) <= _size(buffers, best):
            order, best = moved, offsets
    return best


def _at_the_top(
    order: Sequence[Buffer], offsets: Mapping[str, int], near: Mapping[str, Sequence[str]]
) -> list[int]:
    """The places of the buffers that reach highest, and of those that live with them."""
    peak = _size(order, offsets)
    highest = {b.name for b in order if offsets[b.name] + b.size == peak}
    return [i for i, b in enumerate(order) if highest.intersection(near[b.name])]


def _size(buffers: Sequence[Buffer], offsets: Mapping[str, int]) -> int:
    return max((offsets[b.name] + b.size for b in buffers), default=0)


def _first_fit(
    order: Sequence[Buffer], gaps: Gaps, near: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    """Offsets by name. ``near``: the buffers that live at the same time, by name."""
    placed: dict[str, Placed] = {}
    for buffer in order:
        rivals = [placed[name] for name in near[buffer.name] if name in placed]
        placed[buffer.name] = Placed(buffer, _lowest(buffer, rivals, gaps))
    return {name: p.offset for name, p in placed.items()}


def _lowest(buffer: Buffer, rivals: Sequence[Placed], gaps: Gaps) -> int:
    """The lowest offset that conflicts with no rival."""
    spots = {0} | {p.end for p in rivals}
    for rival in rivals:
        before = gaps.get((buffer.name, rival.buffer.name))
        after = gaps.get((rival.buffer.name, buffer.name))
        if before is not None:
            spots.add(rival.offset - before.start)
        if after is not None:
            spots.add(rival.offset + after.start)
    fitting = (s for s in sorted(spots) if s >= 0 and _fits(Placed(buffer, s), rivals, gaps))
    return next(fitting)


def _fits(spot: Placed, rivals: Sequence[Placed], gaps: Gaps) -> bool:
    return all(compatible(spot, rival, gaps) for rival in rivals)


def compatible(a: Placed, b: Placed, gaps: Gaps) -> bool:
    """Whether two buffers whose lives meet may lie where they are."""
    if a.end <= b.offset or b.end <= a.offset:
        return True
    for out, source in ((a, b), (b, a)):
        gap = gaps.get((out.buffer.name, source.buffer.name))
        if gap is not None and source.offset - out.offset in gap:
            return True
    return False
