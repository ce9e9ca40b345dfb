"""How an input should lie in memory when its first readers take any layout."""

from __future__ import annotations

from collections.abc import Sequence

from mcuq.importers.steps import Step

_ELEMENTWISE = frozenset(
    """
    Add Sub Mul Div Neg Sum Relu Clip Sigmoid Tanh HardSigmoid HardSwish LeakyRelu PRelu Elu Gelu
    Swish Identity Dropout Cast
    """.split()
)
_OWN_ORDER = frozenset("Transpose MatMul".split())


def lies_in_own_order(name: str, steps: Sequence[Step], rank: int) -> bool:
    """Whether elementwise nodes lead from input ``name`` to one that wants the user's order.

    That is so for a network of NHWC data, which is transposed before the first convolution.
    """
    if not any(name in step.inputs and step.op in _ELEMENTWISE for step in steps):
        return False
    reached = {name}
    for step in steps:
        if not reached.intersection(step.inputs):
            continue
        if step.op in _OWN_ORDER:
            return True
        if step.op in _ELEMENTWISE:
            reached.update(step.outputs)
    return False
