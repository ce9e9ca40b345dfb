"""How an input should lie in memory when its first readers take any layout."""

from __future__ import annotations

from collections.abc import Sequence

from mcuq.importers.standard.steps import OnnxStep

_ELEMENTWISE = frozenset(
    """
    Add Sub Mul Div Neg Sum Relu Clip Sigmoid Tanh HardSigmoid HardSwish LeakyRelu PRelu Elu Gelu
    Swish Identity Dropout Cast CastLike
    """.split()
)
_WISHES = {
    "Transpose": "own",
    "MatMul": "own",
    "Conv": "channels last",
    "ConvTranspose": "channels last",
    "MaxPool": "channels last",
    "AveragePool": "channels last",
    "GlobalAveragePool": "channels last",
    "GlobalMaxPool": "channels last",
    "BatchNormalization": "channels last",
    "Resize": "channels last",
    "Upsample": "channels last",
}


def wished_layout(name: str, steps: Sequence[OnnxStep]) -> str | None:
    """What the first node after the elementwise readers of ``name`` wants; None: anything.

    "own" is the order of the user: a network of NHWC data transposes it before the first
    convolution. Without elementwise readers there is no need to look ahead.
    """
    if not any(name in step.inputs and step.op in _ELEMENTWISE for step in steps):
        return None
    reached = {name}
    for step in steps:
        if not reached.intersection(step.inputs):
            continue
        if step.op in _WISHES:
            return _WISHES[step.op]
        if step.op in _ELEMENTWISE:
            reached.update(step.outputs)
    return None
