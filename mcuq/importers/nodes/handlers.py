"""The table of ONNX operators and the functions that import them."""

from __future__ import annotations

import math
from collections.abc import Callable

from mcuq.importers.nodes import (
    elementwise,
    fourier,
    functions,
    linear,
    logic,
    lookups,
    movement,
    norms,
    products,
    recurrent,
    reductions,
    spectra,
    sums,
    views,
)
from mcuq.importers.nodes.builder import Value
from mcuq.importers.nodes.call import NodeCall, Operand
from mcuq.importers.nodes.elementwise import binary, clip_to, unary
from mcuq.importers.nodes.windows import images, several, volumes
from mcuq.importers.nodes.windows.conv_transpose import conv_transpose, of_volumes
from mcuq.importers.nodes.windows.resize import resize
from mcuq.importers.standard import quantized
from mcuq.ir import Array

Handler = Callable[[NodeCall], Value | Array | list[Operand]]
MOVEMENTS = """
    Transpose Slice Split Gather GatherElements GatherND Expand Tile DepthToSpace SpaceToDepth
    ReverseSequence
""".split()

FUNCTIONS = """
    Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Erf Floor Log Mish Round Sign Sin Sinh
    Softplus Softsign Sqrt Tan
""".split()
CONVOLVED = several.of_series(several.convolved(images.conv))
LARGEST, AVERAGED = (
    several.of_series(several.pooled(pool)) for pool in (images.max_pool, images.average_pool)
)

HANDLERS: dict[str, Handler] = {
    "Conv": images.planar(CONVOLVED, volumes.convolved(CONVOLVED)),
    "ConvTranspose": images.planar(
        several.of_series(conv_transpose), of_volumes(volumes.convolved(CONVOLVED))
    ),
    "MaxPool": images.planar(LARGEST, volumes.pooled(LARGEST)),
    "AveragePool": images.planar(AVERAGED, volumes.pooled(AVERAGED)),
    "GlobalAveragePool": reductions.global_average,
    "GlobalMaxPool": reductions.global_max,
    "ReduceMean": reductions.reduce_mean,
    "ReduceMax": reductions.reduce_max,
    "ReduceMin": reductions.reduce_min,
    "ReduceSum": sums.summed(),
    "ReduceL1": sums.summed(("abs", {})),
    "ReduceL2": sums.summed(sums.SQUARE, ("sqrt", {})),
    "ReduceLogSum": sums.summed(None, ("log", {})),
    "ReduceLogSumExp": sums.log_sum_exp,
    "ReduceSumSquare": sums.summed(sums.SQUARE),
    "GlobalLpPool": sums.global_norm,
    "LpPool": sums.window_norm,
    "CumSum": sums.running,
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
    "PRelu": functions.prelu,
    **{op: unary(op.lower()) for op in FUNCTIONS},
    "Elu": unary("elu", elementwise.elu),
    "Selu": unary("selu", functions.selu),
    "Celu": unary("celu", functions.celu),
    "ThresholdedRelu": unary("thresholded_relu", functions.thresholded_relu),
    "Shrink": unary("shrink", functions.shrink),
    "Exp": unary("exp", lambda call: {"rate": 1.0}),
    "Reciprocal": unary("reciprocal", lambda call: {"numerator": 1.0}),
    "Pow": functions.power,
    "Gelu": unary("gelu", elementwise.gelu),
    "Swish": unary("silu", elementwise.swish),
    "Add": binary("add"),
    "Sub": binary("sub"),
    "Mul": binary("mul"),
    "Div": functions.divide,
    "Neg": elementwise.negative,
    "Sum": elementwise.total,
    "Mean": elementwise.mean,
    "Max": elementwise.extremum(largest=True),
    "Min": elementwise.extremum(largest=False),
    "Less": logic.comparison("<"),
    "LessOrEqual": logic.comparison("<="),
    "Equal": logic.comparison("="),
    "GreaterOrEqual": logic.comparison(">="),
    "Greater": logic.comparison(">"),
    "Not": logic.negation,
    "And": logic.junction("mul"),
    "Or": logic.junction("maximum"),
    "Xor": logic.exclusive,
    "Where": logic.where,
    "Softmax": reductions.softmax,
    "LogSoftmax": reductions.softmax,
    "ArgMax": reductions.argmax,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), recurrent.layer),
    "STFT": spectra.features,
    "DFT": fourier.transform,
    "ArgMin": reductions.argmin,
    "TopK": reductions.top,
    "Hardmax": reductions.hardmax,
    "Concat": views.concat,
    **dict.fromkeys(MOVEMENTS, movement.moved),
    "Gather": lookups.gather,
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
