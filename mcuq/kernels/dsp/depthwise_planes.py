"""depthwise_conv2d 3x3 of short lines: ``mcuq_depthwise_conv2d_s8_dsp_3x3_planes``."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.dsp import depthwise_conv2d as lines
from mcuq.kernels.dsp.blocks import scratch_budget, window
from mcuq.kernels.dsp.depthwise_conv2d import LANES, Walk
from mcuq.kernels.variant import Call, Cpu, Variant
from mcuq.qir import QGraph

_SYMBOL = "mcuq_depthwise_conv2d_s8_dsp_3x3_planes"
_LINE_WORDS = 28
_TURN_PAIRS, _TURN_SINGLES = 6, 3
_SHARE = 6  # of what a step holds, in scratch, however high the peak


def _slots(walk: Walk, chunk: int) -> int:
    """Input lines that ``chunk`` lines of outputs read."""
    return (chunk - 1) * walk.stride_lines + 3


def _scratch(walk: Walk, chunk: int) -> int:
    channels = LANES * (4 * _LINE_WORDS * _slots(walk, chunk) + chunk * lines.outputs_of(walk))
    return 32 * LANES + channels


def _chunk(walk: Walk, budget: int) -> int:
    """Lines of outputs that are made together: about as many each time."""
    chunk = max([1, *(n for n in range(1, walk.out_lines + 1) if _scratch(walk, n) <= budget)])
    times = -(-walk.out_lines // chunk)
    return -(-walk.out_lines // times)


def _cost(walk: Walk, chunk: int) -> float:
    """Instructions."""
    units, single = lines.units_of(walk), walk.stride_steps == 2
    times = -(-walk.out_lines // chunk)
    turns = -(-units // (_TURN_SINGLES if single else _TURN_PAIRS)) - 1
    line = 17 + 3 * turns + units * (11 if single else 19)
    run = 50 * times + LANES * (30 + 17 * times + walk.out_lines * line)
    inside, outside = walk.lines_read
    fill = inside * (18 + 13 * units) + (times > 1) * outside * 4 * 65
    kept = (times - 1) * max(0, 3 - walk.stride_lines) * LANES * _LINE_WORDS * 5
    whole, rest = divmod(walk.out_steps, 4)
    store = walk.out_lines * (10 + 9 * whole + 4 * (rest > 1) + 3 * (rest % 2))
    groups = -(-walk.channels // LANES)
    return (
        300
        + 2 * LANES * _LINE_WORDS * _slots(walk, chunk)
        + groups * (110 + 45 * times + run + fill + kept + store)
    )


def _best(node: Node, qgraph: QGraph) -> tuple[Walk, int] | None:
    """The walk, and lines of outputs at a time."""
    budget = max(scratch_budget(node, qgraph), qgraph.held(node) // _SHARE)
    short = [
        w
        for w in lines.walks(window(node, qgraph))
        if w.stride_steps <= 2 and lines.units_of(w) < _LINE_WORDS
    ]
    found = [(w, _chunk(w, budget)) for w in short]
    return min(found, key=lambda f: (not f[0].in_place(), _cost(*f)), default=None)


def _made(node: Node, qgraph: QGraph) -> tuple[Walk, int]:
    best = _best(node, qgraph)
    assert best is not None
    return best


def _accepts(node: Node, qgraph: QGraph) -> bool:
    at = window(node, qgraph)
    fits = at.in_c >= LANES and at.representable
    return fits and lines.accepts_3x3(node, qgraph) and _best(node, qgraph) is not None


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    walk, chunk = _made(node, qgraph)
    return lines.call(
        node, qgraph, _SYMBOL, walk, _scratch(walk, chunk), lines.late_sums(node, qgraph), chunk
    )


def _cost_of(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    walk, chunk = _made(node, qgraph)
    late = len(lines.late_sums(node, qgraph).late) * (
        20 + 7 * walk.out_lines * lines.outputs_of(walk)
    )
    return _cost(walk, chunk) + late


def _gap(node: Node, qgraph: QGraph, index: int) -> int | None:
    return lines.gap_of(_made(node, qgraph)[0], index)


VARIANTS = (
    Variant(
        "depthwise_conv2d",
        _SYMBOL,
        _lower,
        _cost_of,
        _accepts,
        frozenset({"dsp"}),
        _gap,
        gap_exact=True,
        cycles=1.22,
    ),
)
