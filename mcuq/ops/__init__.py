"""The operators, listed by hand: a broken one fails at import, loudly."""

from __future__ import annotations

from mcuq.errors import ModelError
from mcuq.ir import Graph, Network, Node
from mcuq.ops import (
    add,
    argmax,
    avg_pool2d,
    batch_norm,
    chain,
    clip,
    conv2d,
    dense,
    depthwise_conv2d,
    extremum,
    log_softmax,
    lut,
    matmul,
    max_pool2d,
    mul,
    normalize,
    prelu,
    requant,
    resize_linear,
    softmax,
    sub,
    top,
    unary,
)
from mcuq.ops.movement import concat, copy, from_u8, lookup, pad, push, reshape, transpose
from mcuq.ops.parts import functions, lut16
from mcuq.ops.parts.layout import Layout
from mcuq.ops.recurrent import gru, lstm, rnn
from mcuq.ops.signal import biquad, decide, features, nms, statistics
from mcuq.ops.spec import OpSpec, RunFloat, Values

_SINGLE: tuple[OpSpec, ...] = (
    conv2d.OP,
    depthwise_conv2d.OP,
    dense.OP,
    batch_norm.OP,
    max_pool2d.OP,
    avg_pool2d.OP,
    add.OP,
    sub.OP,
    mul.OP,
    matmul.OP,
    extremum.MAXIMUM,
    extremum.MINIMUM,
    prelu.OP,
    clip.OP,
    *unary.OPS_UNARY,
    *functions.OPS_FUNCTIONS,
    softmax.OP,
    normalize.OP,
    log_softmax.OP,
    argmax.OP,
    top.VALUES,
    top.INDICES,
    top.HARDMAX,
    lookup.OP,
    concat.OP,
    pad.OP,
    reshape.OP,
    transpose.OP,
    copy.OP,
    push.OP,
    resize_linear.OP,
    lstm.OP,
    gru.OP,
    rnn.OP,
    features.OP,
    decide.OP,
    nms.OP,
    statistics.OP,
    biquad.OP,
    lut.OP,
    lut16.OP,
    requant.OP,
    from_u8.OP,
)
OPS = (*_SINGLE, *chain.specs(_SINGLE))

_BY_NAME = {op.name: op for op in OPS}


def spec(name: str) -> OpSpec:
    """The operator called ``name``."""
    if name not in _BY_NAME:
        raise ModelError(name, "no such operator", "Run 'mcuq ops' for the list")
    return _BY_NAME[name]


def float_of(node: Node) -> RunFloat:
    """What computes ``node`` in float; ValueError for the operators of integer graphs alone."""
    run = spec(node.op).run_float
    if run is None:
        raise ValueError(f"{node.op} has no float form")
    return run


def has_weights(node: Node) -> bool:
    """Whether ``node`` is a layer: weights at input 1, a bias at input 2."""
    return spec(node.op).weights is not None


def products(graph: Graph) -> int:
    """Multiply-accumulates of one inference."""
    return sum(
        spec(n.op).macs(n, [graph.shape(name) for name in n.inputs], graph.shape(n.output))
        for n in graph.nodes
    )


def index_limit(network: Network, name: str) -> int | None:
    """How many rows the smallest table has that is read by the indices ``name``; None: none is."""
    readers = [n for n in network.nodes if n.inputs[0] == name and spec(n.op).reads_indices]
    return min((network.tensors[n.inputs[1]].shape[0] for n in readers), default=None)


def is_recurrent(node: Node) -> bool:
    """Whether ``node`` goes along a sequence, each step from the state after the one before."""
    return spec(node.op).inside is not None


def is_view(node: Node) -> bool:
    """Whether ``node`` only gives the memory of its input another shape: no code runs."""
    return spec(node.op).values is Values.VIEW


def layout_of(node: Node) -> Layout:
    """Where the weights of a layer lie; ValueError for other operators."""
    layout = spec(node.op).weights
    if layout is None:
        raise ValueError(f"{node.op} has no weights")
    return layout
