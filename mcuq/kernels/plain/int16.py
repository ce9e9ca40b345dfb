"""The plain variants on s16 data: each lowers as its s8 twin does, to a C file of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mcuq.ir import Node
from mcuq.kernels.plain import (
    add,
    avg_pool2d,
    conv2d,
    dense,
    depthwise_conv2d,
    extremum,
    matmul,
    max_pool2d,
    mul,
    normalize,
    prelu,
    softmax,
)
from mcuq.kernels.plain.elementwise import instructions, output_size
from mcuq.kernels.plain.movement import transpose
from mcuq.kernels.variant import S16, Call, ConstArray, Cpu, Field, Variant, lower_as
from mcuq.qir import QGraph

Gap = Callable[[Node, QGraph, int], int | None]


def _in_place(node: Node, qgraph: QGraph, index: int) -> int:
    return 0


def _twin(variant: Variant, params: str = "") -> Variant:
    """``variant`` on s16 data. ``params``: its parameter struct, if it is not the same."""
    symbol = variant.symbol.replace("_s8", "_s16")

    def gap(node: Node, qgraph: QGraph, index: int) -> int | None:
        elements = variant.gap(node, qgraph, index)
        return None if elements is None else 2 * elements

    return replace(
        variant, symbol=symbol, lower=lower_as(variant, symbol, params), gap=gap, kinds=S16
    )


def ported(
    variant: Variant, core: str, cost: Callable[[Node, QGraph, Cpu], float], needs: frozenset[str]
) -> Variant:
    """``variant`` by the function of the same parameters whose name ends in ``core``."""
    symbol = f"{variant.symbol}_{core}"
    return replace(variant, symbol=symbol, lower=lower_as(variant, symbol), cost=cost, needs=needs)


def _requant(source: str, output: str, gap: Gap) -> Variant:
    """The variant of requant from one kind to another."""
    symbol = f"mcuq_requant_{source}_{output}" if source != output else f"mcuq_requant_{source}"

    def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        names = ("mul", "bias", "shift", "out_min", "out_max")
        fields = (
            Field("count", output_size(node, qgraph)),
            *(Field(name, node.int(name)) for name in names),
        )
        return (Call(symbol, "mcuq_requant_params", fields, node.inputs, node.output),)

    def accepts(node: Node, qgraph: QGraph) -> bool:
        kinds = [qgraph.tensor(name).kind for name in (node.inputs[0], node.output)]
        return kinds == [source, output]

    return Variant("requant", symbol, lower, _requant_cost, accepts, gap=gap, kinds=S16)


def _requant_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return instructions(cpu, output_size(node, qgraph), 9.5, 14.0)


def _lut(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    source, table = node.inputs
    array = ConstArray("table", "int16_t", qgraph.data(table), f"{node.output} for -32768..32768")
    fields = (Field("table", "table"), Field("count", output_size(node, qgraph)))
    return (Call("mcuq_lut_s16", "mcuq_lut_s16_params", fields, (source,), node.output, (array,)),)


def _lut_cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    return instructions(cpu, output_size(node, qgraph), 13.0, 18.0)


def _matmul(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    """As of s8, but there are no zeros."""
    fields = tuple(f for f in matmul.fields(node) if not f.name.startswith("zero"))
    symbol, params = "mcuq_matmul_s16", "mcuq_matmul_s16_params"
    return (Call(symbol, params, fields, node.inputs, node.output),)


MAX_POOL, AVG_POOL = (
    _twin(max_pool2d.VARIANTS[0]),
    _twin(avg_pool2d.VARIANTS[0], "mcuq_avg_pool2d_s16_params"),
)
MUL, MUL_BROADCAST, ADD_BROADCAST = (
    _twin(mul.VARIANTS[0], "mcuq_mul_s16_params"),
    _twin(mul.VARIANTS[1], "mcuq_mul_s16_broadcast_params"),
    _twin(add.VARIANTS[1], "mcuq_add_s16_broadcast_params"),
)
LUT = Variant("lut16", "mcuq_lut_s16", _lut, _lut_cost, gap=_in_place, kinds=S16)
NORMALIZE = _twin(normalize.PLAIN, "mcuq_normalize_s16_params")
MATMUL = replace(_twin(matmul.VARIANTS[0]), lower=_matmul, gap=matmul.VARIANTS[0].gap)
VARIANTS = (
    _twin(conv2d.VARIANTS[0], "mcuq_conv2d_s16_params"),
    _twin(depthwise_conv2d.VARIANTS[0], "mcuq_conv2d_s16_params"),
    _twin(dense.VARIANTS[0], "mcuq_dense_s16_params"),
    MAX_POOL,
    AVG_POOL,
    _twin(add.VARIANTS[0], "mcuq_add_s16_params"),
    ADD_BROADCAST,
    MUL,
    MUL_BROADCAST,
    *(_twin(variant, "mcuq_extremum_s16_params") for variant in extremum.VARIANTS),
    _twin(transpose.VARIANTS[0]),
    _twin(prelu.VARIANTS[0], "mcuq_prelu_s16_params"),
    NORMALIZE,
    softmax.WIDE,
    MATMUL,
    LUT,
    # Twice as long as its input: the last byte is written where the last one was read.
    _requant("s8", "s16", lambda node, qgraph, index: output_size(node, qgraph)),
    _requant("s16", "s8", _in_place),
    _requant("s16", "s16", _in_place),
)
