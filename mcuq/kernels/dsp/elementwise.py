"""add and from_u8 with the DSP extension (Cortex-M4, M7, M33): elements in the lanes of words."""

from __future__ import annotations

from dataclasses import dataclass

from mcuq.ir import Node
from mcuq.kernels.plain import elementwise
from mcuq.kernels.variant import Call, Cpu, Field, Variant
from mcuq.qir import QGraph

_ADD, _FROM_U8 = "mcuq_add_s8_dsp", "mcuq_from_u8_s8_dsp"
EQUAL, APART, QUARTER = range(3)
# Instructions of 8 elements by kind; what the limits of the output add; an element alone.
_BLOCK, _LIMITS, _ALONE = (28, 36, 44), 18, 14


@dataclass(frozen=True)
class Lanes:
    """How int16 lanes hold the sums; as in mcuq_elementwise_dsp.h."""

    kind: int
    scale_a: int
    scale_b: int
    bias_a: int
    bias_b: int


def lanes(mul_a: int, mul_b: int, bias: int, shift: int) -> Lanes | None:
    """The cheapest way to hold (a * mul_a + b * mul_b + bias) * 2^(8 - shift); None if none fits.

    Results are the upper bytes, so the saturation of the lanes is that of the results. The sums
    are multiples of ``step``, and errors of a high lane (scale - 1, or 2) must stay below it.

    >>> [lanes(*n).kind for n in ((1, 1, -127, 1), (1, 4, 2, 2), (1, 1, 128, 0))]
    [0, 1, 2]
    """
    step = (256 >> shift) if shift <= 8 else 0
    if step and mul_a == mul_b == 1 and shift > 0 and _fits(0, bias * step):
        return Lanes(EQUAL, step, 0, _word(bias * step, 0, fields=True), 0)
    for kind, unit in ((APART, step), (QUARTER, step // 4)):
        scale_a, scale_b, total = mul_a * unit, mul_b * unit, bias * unit
        room = max(0, 32640 - 128 * abs(scale_a))
        bias_a = min(max(total, -room), room)
        bias_b = total - bias_a
        if unit >= 4 and _fits(scale_a, bias_a) and _fits(scale_b, bias_b):
            starts = (bias_a - 128 * scale_a, bias_b - 128 * scale_b)
            return Lanes(kind, scale_a, scale_b, *(_word(start, 1) for start in starts))
    return None


def _fits(scale: int, bias: int) -> bool:
    """Whether an int16 lane holds x * scale + bias for all int8 x, and one more."""
    ends = (-128 * scale + bias, 127 * scale + bias)
    return min(ends) >= -(2**15) and max(ends) < 2**15 - 1


def _word(low: int, more: int, fields: bool = False) -> int:
    """The word low + 2^16 * (low + more); ``fields``: low is cut to 16 bits."""
    return ((low & 0xFFFF if fields else low) + ((low + more) << 16)) & 0xFFFFFFFF


def _lanes(node: Node) -> Lanes | None:
    return lanes(*(node.int(name) for name in ("mul_a", "mul_b", "bias", "shift")))


def _accepts(node: Node, qgraph: QGraph) -> bool:
    size = elementwise.output_size(node, qgraph)
    return all(qgraph.tensor(n).size == size for n in node.inputs) and _lanes(node) is not None


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    held = _lanes(node)
    assert held is not None
    fields = (
        Field("count", elementwise.output_size(node, qgraph)),
        *(Field(name, node.int(name)) for name in ("mul_a", "mul_b", "bias")),
        *(Field(name, getattr(held, name)) for name in ("scale_a", "scale_b", "bias_a", "bias_b")),
        Field("kind", held.kind),
        *(Field(name, node.int(name)) for name in ("shift", "out_min", "out_max")),
    )
    return (Call(_ADD, "mcuq_add_dsp_params", fields, node.inputs, node.output),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Blocks of 8 elements, and the rest one by one."""
    blocks, rest = divmod(elementwise.output_size(node, qgraph), 8)
    held = _lanes(node)
    limited = (node.int("out_min"), node.int("out_max")) != (-128, 127)
    block = (_BLOCK[held.kind] if held else 0) + (_LIMITS if limited else 0)
    return 60 + blocks * block + rest * _ALONE


def _lower_from_u8(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    fields = (Field("count", elementwise.output_size(node, qgraph)),)
    return (Call(_FROM_U8, "mcuq_from_u8_params", fields, node.inputs, node.output),)


def _cost_from_u8(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Blocks of 16 elements, and the rest one by one."""
    blocks, rest = divmod(elementwise.output_size(node, qgraph), 16)
    return 30 + 16 * blocks + 5 * rest


NEEDS = frozenset({"dsp"})
VARIANTS = (
    Variant("add", _ADD, _lower, _cost, _accepts, NEEDS, elementwise.gap),
    Variant(
        "from_u8",
        _FROM_U8,
        _lower_from_u8,
        _cost_from_u8,
        needs=NEEDS,
        gap=lambda node, qgraph, index: 0,
    ),
)
