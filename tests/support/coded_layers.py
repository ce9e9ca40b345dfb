"""Networks of one layer with weights of few values."""

from __future__ import annotations

from typing import Any

import numpy as np
from kernel_harness import one_node

from mcuq.ir import Array, Node
from mcuq.ops import spec
from mcuq.qir import QGraph

FULL = (-128, 127)
LEVELS = {
    "sixteen": (-127, -90, -64, -40, -27, -16, -9, -4, 0, 3, 8, 15, 28, 41, 66, 100),
    "powers": (*(-(2**e) for e in range(7)), 0, *(2**e for e in range(7))),
    "int4": tuple(range(-8, 8)),
    "no zero": (-127, -60, -33, -12, -1, 2, 9, 30, 61, 126),
    "extremes": (-128, 0, 63, 127, 1),
    "four": (-60, 0, 17, 127),
    "ternary": (-1, 0, 1),
    "one": (-37,),
    "zero": (0,),
}


def network(
    random: np.random.Generator,
    op: str,
    image: tuple[int, ...],
    weights: tuple[int, ...],
    kind: str,
    limits: tuple[int, int] = FULL,
    **attrs: Any,
) -> tuple[Node, QGraph, Array]:
    """One layer whose weights are random ones of ``LEVELS[kind]``, and its input."""
    x = random.integers(-128, 128, image, dtype=np.int8)
    w = random.choice(np.array(LEVELS[kind], np.int8), weights)
    bias = random.integers(-20000, 20000, weights[0], dtype=np.int32)
    middle = 6 + int(np.log2(w[0].size) / 2)
    shift = tuple(int(s) for s in random.integers(middle - 2, middle + 2, weights[0]))
    numbers = {"shift": shift, "out_min": limits[0], "out_max": limits[1], **attrs}
    out = spec(op).infer(Node(op, op, (), (), numbers), [x.shape, w.shape, bias.shape])
    return (*one_node(op, numbers, {"x": x}, {"w": w, "b": bias}, out), x)
