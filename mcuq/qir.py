"""The integer graph: every rounding, shift and clamp is decided here.

``real = (q - zero) * 2**-frac``. The nodes reuse ``ir.Node``; what each operator's attributes mean
is stated in its module under ``ops/``, whose ``run_int`` is the specification.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mcuq.errors import brief
from mcuq.fixed import DTYPES, RANGES
from mcuq.ir import Array, Node, Port, Shape, Stream, consumers_of


@dataclass(frozen=True, eq=False)
class QTensor:
    """An integer tensor.

    ``kind`` is s8, u8, s16 or s32. ``frac`` is one int, or one per output channel for weights and
    biases. ``zero`` of s8 activations is any integer of theirs. ``data`` is set for constants.
    """

    name: str
    shape: Shape
    kind: str
    frac: int | tuple[int, ...]
    zero: int = 0
    data: Array | None = None

    @property
    def item_bytes(self) -> int:
        return np.dtype(DTYPES[self.kind]).itemsize

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.size * self.item_bytes

    @property
    def range(self) -> tuple[int, int]:
        return RANGES[self.kind]


QTensors = Mapping[str, QTensor]
"""Integer tensors by name."""


def frac_of(tensor: QTensor) -> int:
    """The one frac of an activation or of a constant operand; TypeError if it has several."""
    if not isinstance(tensor.frac, int):
        raise TypeError(f"{tensor.name} has a frac per channel")
    return tensor.frac


@dataclass(frozen=True, repr=False)
class QGraph:
    """An integer network; ports carry the conversion between reals and integers.

    ``stream``: what it keeps between calls, if anything (``ir.Graph``).
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    nodes: tuple[Node, ...]
    tensors: Mapping[str, QTensor]
    stream: Stream | None = None

    def __repr__(self) -> str:
        return brief("QGraph", self.name, f"{len(self.nodes)} nodes")

    def tensor(self, name: str) -> QTensor:
        return self.tensors[name]

    def data(self, name: str) -> Array:
        """The data of a constant."""
        data = self.tensors[name].data
        if data is None:
            raise KeyError(f"{name} is not a constant")
        return data

    def is_constant(self, name: str) -> bool:
        return self.tensors[name].data is not None

    def consumers(self, name: str) -> tuple[Node, ...]:
        return tuple(self._consumers.get(name, ()))

    def held(self, node: Node) -> int:
        """The larger of a step's input and output, in bytes (they may overlap)."""
        names = (*node.inputs, *node.outputs)
        return max(self.tensors[n].bytes for n in names if not self.is_constant(n))

    @cached_property
    def most_held(self) -> int:
        """What the step that holds most holds, in bytes."""
        return max(self.held(node) for node in self.nodes)

    @cached_property
    def _consumers(self) -> Mapping[str, Sequence[Node]]:
        return consumers_of(self.nodes)
