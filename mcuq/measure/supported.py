"""Which operators there are: what they come from, how many kernels they have, and their limits."""

from __future__ import annotations

from dataclasses import dataclass

from mcuq.importers.tflite.handlers import operators_of
from mcuq.kernels import variants
from mcuq.ops import OPS


@dataclass(frozen=True)
class Supported:
    """An operator; ``kernels`` is 0 if it becomes another one before it runs."""

    name: str
    onnx: tuple[str, ...]
    tflite: tuple[str, ...]
    kernels: int
    limits: str


def supported() -> tuple[Supported, ...]:
    """All operators, in the order of their table."""
    known = {kind for op in OPS for kind in op.onnx} | {"Identity", "Cast"}
    found = []
    for op in OPS:
        limits = " ".join((limit.__doc__ or "").strip() for limit in op.limits)
        tflite = tuple(operators_of(op.onnx, known))
        count = len(variants(op.name))
        found.append(Supported(op.name, tuple(op.onnx), tflite, count, limits or op.note))
    return tuple(found)
