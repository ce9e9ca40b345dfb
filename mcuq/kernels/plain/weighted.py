"""What the plain variants of conv2d, depthwise_conv2d and dense share: constants and geometry."""

from __future__ import annotations

import numpy as np

from mcuq.ir import Node
from mcuq.kernels.variant import Call, ConstArray, Cpu, Field
from mcuq.ops.parts.windows import Window
from mcuq.qir import QGraph

Rates = tuple[float, ...]


def constants(node: Node, qgraph: QGraph) -> tuple[ConstArray, ...]:
    """Weights as they are, bias and shift."""
    weights, bias = (qgraph.data(name) for name in node.inputs[1:3])
    return (
        ConstArray("weights", "int8_t", weights),
        ConstArray("bias", "int32_t", bias),
        ConstArray("shift", "int8_t", np.array(node.ints("shift"), np.int8)),
    )


def convolution(
    symbol: str, node: Node, qgraph: QGraph, win: Window, groups: int
) -> tuple[Call, ...]:
    """The call of a plain convolution kernel."""
    arrays = constants(node, qgraph)
    _, in_h, in_w, in_c = qgraph.tensor(node.inputs[0]).shape
    _, out_h, out_w, out_c = qgraph.tensor(node.output).shape
    numbers = {
        "in_h": in_h,
        "in_w": in_w,
        "in_c": in_c,
        "out_h": out_h,
        "out_w": out_w,
        "out_c": out_c,
        **placement(win),
        "dilation_h": win.dilations[0],
        "dilation_w": win.dilations[1],
        "groups": groups,
        **{name: node.int(name) for name in ("pad_value", "out_min", "out_max")},
    }
    fields = (
        *(Field(array.suffix, array.suffix) for array in arrays),
        *(Field(name, value) for name, value in numbers.items()),
    )
    params = "mcuq_conv2d_params"
    return (Call(symbol, params, fields, node.inputs[:1], node.output, arrays),)


def placement(win: Window) -> dict[str, int]:
    """Pads, kernel and strides by the names of the C parameters, in their order."""
    return {
        "pad_top": win.pads[0],
        "pad_left": win.pads[1],
        "kernel_h": win.kernel[0],
        "kernel_w": win.kernel[1],
        "stride_h": win.strides[0],
        "stride_w": win.strides[1],
    }


def pick(cpu: Cpu, thumb2: Rates, small: Rates, riscv: Rates) -> Rates:
    """The rates of this kind of core: Cortex-M3 and up, Cortex-M0, RV32IMC; any other as RV32IMC.

    The figures of the variants are measured instructions (gcc -O2), exact to about 10 %.
    """
    if "thumb2" in cpu.features:
        return thumb2
    return small if cpu.name.startswith("cortex-m") else riscv


def with_rows(node: Node, qgraph: QGraph, macs: int) -> float:
    """The products, and two multiplications to find each row of an output's taps."""
    return macs + 2.0 * qgraph.tensor(node.inputs[1]).shape[-3] * qgraph.tensor(node.output).size


def half(node: Node, qgraph: QGraph, macs: int) -> float:
    """The multiplications where each serves two products, or every other weight is left out."""
    return macs / 2


def of_nonzero(node: Node, qgraph: QGraph, macs: int) -> float:
    """The multiplications where weights of zero are left out."""
    weights = qgraph.data(node.inputs[1])
    return macs * np.count_nonzero(weights) / weights.size
