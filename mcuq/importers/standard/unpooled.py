"""ScatterND that puts values back where a MaxPool found them, as PyTorch writes max_unpool2d.

Its places are computed: those of the MaxPool, less where each channel begins in the pooled data,
which another MaxPool of single elements says, plus where it begins in the result.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from mcuq.importers.standard.folding import fold
from mcuq.importers.standard.modern import Old
from mcuq.importers.standard.samples import apart, back
from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Array

_BETWEEN = frozenset("Add Cast Identity Reshape Slice Squeeze Sub Unsqueeze".split())
_DEEPEST = 16


def put_back(old: Old) -> list[Any] | None:
    """The nodes instead of a scatter into zeros at a pool's own places; None if it is none."""
    zeros = old.constants.get(old.input(0))
    pool = _pool_of(old, old.input(1), _DEEPEST)
    if pool is None or zeros is None or zeros.any() or zeros.ndim != 1:
        return None
    shape = old.kind(pool.inputs[0]).shape
    kernel = tuple(int(k) for k in pool.attrs["kernel_shape"])
    if prod(shape) != zeros.size or not apart(pool, kernel, kernel, old):
        return None
    if not all(_are_its_own(old, pool, first) for first in (0, 1)):
        return None
    flat = old.constant(np.array([-1], np.int64), "flat")
    nodes = back(old, old.input(2), pool.inputs[0], shape, kernel, "whole")
    return [*nodes, old.part("Reshape", [nodes[-1].output[0], flat])]


def _pool_of(old: Old, name: str, deep: int) -> OnnxStep | None:
    """The MaxPool of several elements whose places ``name`` is made of."""
    step = old.makers.get(name)
    if step is None or not deep or name in old.constants:
        return None
    if step.op == "MaxPool":
        large = prod(step.attrs.get("kernel_shape", ())) > 1
        return step if large and name == step.outputs[1] else None
    if step.op not in _BETWEEN:
        return None
    found = (_pool_of(old, each, deep - 1) for each in step.inputs if each)
    return next((pool for pool in found if pool is not None), None)


def _are_its_own(old: Old, pool: OnnxStep, first: int) -> bool:
    """Whether places that begin with ``first`` are scattered to just these: nothing moves them."""
    places = first + np.arange(prod(old.kind(pool.outputs[0]).shape), dtype=np.int64)
    found = _computed(old, old.input(1), pool, places, _DEEPEST)
    return found is not None and np.array_equal(found.reshape(-1), places)


def _computed(old: Old, name: str, pool: OnnxStep, places: Array, deep: int) -> Array | None:
    """The value of ``name`` if ``pool`` finds ``places``; None if something else is computed."""
    if name in old.constants:
        return old.constants[name]
    step = old.makers.get(name)
    if step is None or not deep:
        return None
    if step.op == "MaxPool" and name == step.outputs[1]:
        shape = old.kind(step.outputs[0]).shape
        single = prod(step.attrs.get("kernel_shape", ())) == 1
        single = single and shape == old.kind(step.inputs[0]).shape
        if step is pool:
            return places.reshape(shape)
        return np.arange(prod(shape), dtype=np.int64).reshape(shape) if single else None
    if step.op not in _BETWEEN:
        return None
    inputs = [_computed(old, each, pool, places, deep - 1) for each in step.inputs if each]
    if any(each is None for each in inputs):
        return None
    return fold(step.proto, inputs, step.opset)[0]
