"""Which TensorFlow Lite operator is written by what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from mcuq.importers.tflite import loops, movement, recurrent, values, windows
from mcuq.importers.tflite.writer import OperatorCall


@dataclass(frozen=True)
class Handler:
    """``write`` adds an operator's ONNX nodes; ``onnx``: their types, that of its name first."""

    write: Callable[[OperatorCall], list[str]]
    onnx: str


def _unary(op: str) -> Handler:
    return Handler(values.unary(op), op)


def _binary(op: str) -> Handler:
    return Handler(values.binary(op), op)


def _reduction(op: str) -> Handler:
    return Handler(values.reduction(op), op)


def _arg(op: str) -> Handler:
    return Handler(values.arg(op), op)


HANDLERS: Mapping[str, Handler] = {
    "CONV_2D": Handler(windows.conv2d, "Conv"),
    "DEPTHWISE_CONV_2D": Handler(windows.depthwise_conv2d, "Conv"),
    "TRANSPOSE_CONV": Handler(windows.transpose_conv, "ConvTranspose"),
    "CONV_3D": Handler(windows.conv3d, "Conv"),
    "FULLY_CONNECTED": Handler(windows.fully_connected, "MatMul"),
    "AVERAGE_POOL_2D": Handler(windows.average_pool2d, "AveragePool"),
    "MAX_POOL_2D": Handler(windows.max_pool2d, "MaxPool"),
    "L2_POOL_2D": Handler(windows.l2_pool2d, "AveragePool Mul Sqrt"),
    "RESIZE_BILINEAR": Handler(windows.resize_bilinear, "Resize"),
    "RESIZE_NEAREST_NEIGHBOR": Handler(windows.resize_nearest, "Resize"),
    "ADD": _binary("Add"),
    "SUB": _binary("Sub"),
    "MUL": _binary("Mul"),
    "DIV": _binary("Div"),
    "MAXIMUM": _binary("Max"),
    "MINIMUM": _binary("Min"),
    "POW": _binary("Pow"),
    "SQUARED_DIFFERENCE": Handler(values.squared_difference, "Sub Mul"),
    "ADD_N": Handler(values.sum_of_all, "Add"),
    "FLOOR_DIV": Handler(values.floor_div, "Div Floor"),
    "FLOOR_MOD": Handler(values.floor_mod, "Mod"),
    "FAKE_QUANT": Handler(values.fake_quant, "QuantizeLinear DequantizeLinear"),
    "EQUAL": _binary("Equal"),
    "NOT_EQUAL": Handler(values.not_equal, "Equal Not"),
    "GREATER": _binary("Greater"),
    "GREATER_EQUAL": _binary("GreaterOrEqual"),
    "LESS": _binary("Less"),
    "LESS_EQUAL": _binary("LessOrEqual"),
    "LOGICAL_AND": _binary("And"),
    "LOGICAL_OR": _binary("Or"),
    "LOGICAL_NOT": _unary("Not"),
    "SELECT": Handler(values.select, "Where"),
    "SELECT_V2": Handler(values.select, "Where"),
    "RELU": _unary("Relu"),
    "RELU6": Handler(values.relu6, "Clip"),
    "RELU_N1_TO_1": Handler(values.relu_n1_to_1, "Clip"),
    "RELU_0_TO_1": Handler(values.relu_0_to_1, "Clip"),
    "LEAKY_RELU": Handler(values.leaky_relu, "LeakyRelu"),
    "PRELU": _binary("PRelu"),
    "ELU": Handler(values.elu, "Elu"),
    "GELU": Handler(values.gelu, "Gelu"),
    "HARD_SWISH": _unary("HardSwish"),
    "LOGISTIC": _unary("Sigmoid"),
    "TANH": _unary("Tanh"),
    "EXP": _unary("Exp"),
    "LOG": _unary("Log"),
    "SQRT": _unary("Sqrt"),
    "RSQRT": Handler(values.rsqrt, "Sqrt Reciprocal"),
    "SQUARE": Handler(values.square, "Mul"),
    "ABS": _unary("Abs"),
    "NEG": _unary("Neg"),
    "FLOOR": _unary("Floor"),
    "CEIL": _unary("Ceil"),
    "ROUND": _unary("Round"),
    "SIGN": _unary("Sign"),
    "SIN": _unary("Sin"),
    "COS": _unary("Cos"),
    "SOFTMAX": Handler(values.softmax, "Softmax"),
    "LOG_SOFTMAX": Handler(values.log_softmax, "LogSoftmax"),
    "MEAN": _reduction("ReduceMean"),
    "SUM": _reduction("ReduceSum"),
    "REDUCE_MAX": _reduction("ReduceMax"),
    "REDUCE_MIN": _reduction("ReduceMin"),
    "REDUCE_PROD": _reduction("ReduceProd"),
    "ARG_MAX": _arg("ArgMax"),
    "ARG_MIN": _arg("ArgMin"),
    "BATCH_MATMUL": Handler(values.batch_matmul, "MatMul"),
    "L2_NORMALIZATION": Handler(values.l2_normalization, "LpNormalization"),
    "CUMSUM": Handler(values.cumulative_sum, "CumSum"),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Handler(recurrent.lstm, "LSTM"),
    "UNIDIRECTIONAL_SEQUENCE_RNN": Handler(recurrent.rnn, "RNN"),
    "WHILE": Handler(loops.layer, "LSTM"),
    "CUSTOM:FlexTensorListReserve": Handler(loops.reserved, ""),
    "CUSTOM:FlexTensorListStack": Handler(loops.stacked, ""),
    "SVDF": Handler(recurrent.svdf, "Conv"),
    "RESHAPE": Handler(movement.as_result, "Reshape"),
    "SQUEEZE": Handler(movement.as_result, "Reshape"),
    "EXPAND_DIMS": Handler(movement.as_result, "Reshape"),
    "DENSIFY": Handler(movement.same, "Identity"),
    "QUANTIZE": Handler(movement.same, "Identity"),
    "DEQUANTIZE": Handler(movement.same, "Identity"),
    "CAST": Handler(movement.cast, "Div Add Cast Sub Mul"),
    "TRANSPOSE": Handler(movement.transpose, "Transpose"),
    "PAD": Handler(movement.pad, "Pad"),
    "PADV2": Handler(movement.pad, "Pad"),
    "MIRROR_PAD": Handler(movement.mirror_pad, "Pad Gather"),
    "CONCATENATION": Handler(movement.concatenation, "Concat Pad Add"),
    "PACK": Handler(movement.pack, "Concat Unsqueeze"),
    "UNPACK": Handler(movement.unpack, "Slice Squeeze"),
    "SPLIT": Handler(movement.split, "Slice"),
    "SPLIT_V": Handler(movement.split_v, "Slice"),
    "SLICE": Handler(movement.slice_, "Slice"),
    "STRIDED_SLICE": Handler(movement.strided_slice, "Slice Reshape"),
    "GATHER": Handler(movement.gather, "Gather"),
    "GATHER_ND": Handler(movement.gather_nd, "GatherND"),
    "SCATTER_ND": Handler(movement.scatter_nd, "ScatterND"),
    "DYNAMIC_UPDATE_SLICE": Handler(movement.update_slice, "ScatterND"),
    "EMBEDDING_LOOKUP": Handler(movement.embedding_lookup, "Gather"),
    "ONE_HOT": Handler(movement.one_hot, ""),
    "TOPK_V2": Handler(movement.top_k, "TopK"),
    "REVERSE_SEQUENCE": Handler(movement.reverse_sequence, "ReverseSequence"),
    "TILE": Handler(movement.tile, "Tile"),
    "BROADCAST_TO": Handler(movement.broadcast_to, "Expand"),
    "REVERSE_V2": Handler(movement.reverse, "Slice"),
    "SPACE_TO_DEPTH": Handler(movement.space_to_depth, "Reshape Transpose"),
    "DEPTH_TO_SPACE": Handler(movement.depth_to_space, "Reshape Transpose"),
    "SHAPE": Handler(movement.shape, ""),
    "RANK": Handler(movement.rank, ""),
    "ZEROS_LIKE": Handler(movement.zeros_like, ""),
    "FILL": Handler(movement.fill, ""),
}


def operators_of(onnx: Collection[str], known: Collection[str]) -> tuple[str, ...]:
    """The operators named by ONNX types of ``onnx``, if ``known`` has all that they become."""
    made = ((name, handler.onnx.split()) for name, handler in HANDLERS.items())
    named = {name: types for name, types in made if types and types[0] in onnx}
    return tuple(name for name, types in named.items() if set(types) <= set(known))


_FIXED = "Convert the network with its loops unrolled and its branches decided"
_PARTS = "Convert each direction as an LSTM of its own, and join them"

REFUSED: Mapping[str, tuple[str, str]] = {
    "IF": ("IF chooses a graph while it runs", _FIXED),
    "CALL": ("CALL runs another graph", _FIXED),
    "LSTM": ("LSTM is one step, whose state lies outside the operator", loops.UNROLL),
    "RNN": ("RNN is one step, whose state lies outside the operator", loops.UNROLL),
    "BIDIRECTIONAL_SEQUENCE_LSTM": ("BIDIRECTIONAL_SEQUENCE_LSTM is not supported", _PARTS),
    "BIDIRECTIONAL_SEQUENCE_RNN": ("BIDIRECTIONAL_SEQUENCE_RNN is not supported", _PARTS),
    "SPACE_TO_BATCH_ND": (
        "SPACE_TO_BATCH_ND stands alone: only with a convolution between it and BATCH_TO_SPACE_ND "
        "is it dilation",
        "Convert it with dilated convolutions",
    ),
    "BATCH_TO_SPACE_ND": (
        "BATCH_TO_SPACE_ND stands alone: only behind SPACE_TO_BATCH_ND and a convolution is it "
        "dilation",
        "Convert it with dilated convolutions",
    ),
}
"""What is known and not read, and what to do."""
