"""The table of ONNX operators and the functions that import them."""

from __future__ import annotations

import math
from collections.abc import Callable

from mcuq.importers import (
    elementwise,
    images,
    linear,
    movement,
    norms,
    products,
    quantized,
    recurrent,
    reductions,
    views,
)
from mcuq.importers.builder import Value
from mcuq.importers.call import Call, Operand
from mcuq.importers.conv_transpose import conv_transpose
from mcuq.importers.elementwise import binary, clip_to, unary
from mcuq.importers.resize import resize
from mcuq.ir import Array

Handler = Callable[[Call], Value | Array | list[Operand]]
MOVEMENTS = """
    Transpose Slice Split Gather GatherElements GatherND Expand Tile DepthToSpace SpaceToDepth
    ReverseSequence
""".split()

HANDLERS: dict[str, Handler] = {
    "Conv": images.planar(images.conv),
    "ConvTranspose": images.planar(conv_transpose),
    "MaxPool": images.planar(images.max_pool),
    "AveragePool": images.planar(images.average_pool),
    "GlobalAveragePool": reductions.global_average,
    "GlobalMaxPool": reductions.global_max,
    "ReduceMean": reductions.reduce_mean,
    "ReduceMax": reductions.reduce_max,
    "Pad": images.pad,
    "Resize": resize,
    "Upsample": resize,
    "Gemm": linear.gemm,
    "MatMul": linear.matmul,
    "Einsum": products.einsum,
    "BatchNormalization": linear.batch_norm,
    "LayerNormalization": norms.layer,
    "RMSNormalization": norms.root_mean_square,
    "InstanceNormalization": norms.instance,
    "GroupNormalization": norms.group,
    "LpNormalization": norms.length,
    "MeanVarianceNormalization": norms.mean_variance,
    "Relu": clip_to(0.0, math.inf),
    "Clip": quantized.clip,
    "Sigmoid": unary("sigmoid"),
    "Tanh": unary("tanh"),
    "HardSigmoid": unary("hard_sigmoid", elementwise.hard_sigmoid),
    "HardSwish": unary("hard_swish"),
    "LeakyRelu": unary("leaky_relu", elementwise.leaky),
    "PRelu": elementwise.prelu,
    "Elu": unary("elu", elementwise.elu),
    "Gelu": unary("gelu", elementwise.gelu),
    "Swish": elementwise.swish,
    "Add": binary("add"),
    "Sub": binary("sub"),
    "Mul": binary("mul"),
    "Div": elementwise.divide,
    "Neg": elementwise.negative,
    "Sum": binary("add"),
    "Max": elementwise.bound(low=True),
    "Min": elementwise.bound(low=False),
    "Softmax": reductions.softmax,
    "ArgMax": reductions.argmax,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), recurrent.layer),
    "Concat": views.concat,
    **dict.fromkeys(MOVEMENTS, movement.moved),
    "Reshape": views.reshape,
    "Flatten": views.flatten,
    "Squeeze": views.squeeze,
    "Unsqueeze": views.unsqueeze,
    "Identity": views.same,
    "Dropout": views.same,
    "Cast": views.cast,
    "QuantizeLinear": quantized.quantize,
    "DequantizeLinear": quantized.dequantize,
    "Shape": views.shape_of,
    "Size": views.size_of,
}
