"""More standard operators that are others put together, of those that networks rarely hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.nodes.call import axis_of
from mcuq.importers.standard.modern import Old

Rewrite = Callable[[Old], list[Any] | None]


def _computed(old: Old, *indices: int) -> bool:
    """Whether one of these inputs is no constant."""
    return any(old.input(i) and old.input(i) not in old.constants for i in indices)


def one_hot(old: Old) -> list[Any] | None:
    """OneHot of what ArgMax gives is its Hardmax, of other whole numbers a comparison."""
    if not _computed(old, 0):
        return None
    depth = int(old.given(1).reshape(-1)[0])
    off, on = (float(v) for v in old.given(2).reshape(-1))
    shape = old.kind(old.input(0)).shape
    axis = axis_of(int(old.attribute("axis", -1)), len(shape) + 1)
    nodes = _of_argmax(old, depth, axis) or _of_numbers(old, depth, axis)
    result = nodes[-1].output[0]
    if on - off != 1.0:
        factor = old.constant(np.float32(on - off), "factor")
        nodes.append(old.part("Mul", [result, factor], "scaled"))
        result = nodes[-1].output[0]
    if off == 0.0:
        return [*nodes, old.part("Identity", [result])]
    return [*nodes, old.part("Add", [result, old.constant(np.float32(off), "off")])]


def _of_argmax(old: Old, depth: int, axis: int) -> list[Any]:
    """Nothing where the indices have another source, or other axes than Hardmax keeps."""
    step = old.maker(old.input(0), ("Cast", "Identity", "Squeeze"))
    if step is None or step.op != "ArgMax" or step.attrs.get("select_last_index", 0):
        return []
    source = step.inputs[0]
    shape = old.kind(source).shape
    own = axis_of(int(step.attrs.get("axis", 0)), len(shape))
    rest = tuple(size for a, size in enumerate(shape) if a != own)
    if shape[own] != depth or rest != tuple(old.kind(old.input(0)).shape):
        return []
    nodes = [old.part("Hardmax", [source], "chosen", axis=own)]
    perm = [a for a in range(len(shape)) if a != own]
    perm.insert(axis, own)
    if perm != list(range(len(shape))):
        nodes.append(old.part("Transpose", nodes[-1].output[:], "turned", perm=perm))
    return nodes


def _of_numbers(old: Old, depth: int, axis: int) -> list[Any]:
    shape = old.kind(old.input(0)).shape
    wide = old.integers([axis], "axis")
    ruler = np.arange(depth, dtype=np.float32).reshape(-1, *(1,) * (len(shape) - axis))
    parts = [old.part("Unsqueeze", [old.input(0), wide], "wide")]
    parts.append(old.part("Cast", parts[-1].output[:], "real", to=1))
    real, found = parts[-1].output[0], []
    for numbers in (ruler, ruler - depth):  # below 0 they count from the end
        parts.append(old.part("Equal", [real, old.constant(numbers, "ruler")], "equal"))
        found.append(parts[-1].output[0])
    parts.append(old.part("Or", found, "either"))
    parts.append(old.part("Cast", parts[-1].output[:], "share", to=1))
    return parts


def length_one(old: Old) -> list[Any] | None:
    """LpNormalization with p = 1: divided by the sum of the sizes."""
    if int(old.attribute("p", 2)) != 1:
        return None
    inputs = [old.input(0), old.integers([old.attribute("axis", -1)], "axis")]
    total = old.part("ReduceL1", inputs, "total", keepdims=1)
    return [total, old.part("Div", [old.input(0), total.output[0]])]


def gated(old: Old) -> list[Any]:
    """SwiGLU: Swish of the first, times the second."""
    gate = old.part("Swish", [old.input(0)], "gate", alpha=float(old.attribute("alpha", 1.0)))
    return [gate, old.part("Mul", [gate.output[0], old.input(1)])]


def rotary(old: Old) -> list[Any] | None:
    """RotaryEmbedding with constant angles: x * cos + (x with halves exchanged) * sin."""
    name = old.input(0)
    shape = old.kind(name).shape
    heads = int(old.attribute("num_heads", 0)) if len(shape) == 3 else 1
    if len(shape) == 3 and heads < 1:
        raise Refused("RotaryEmbedding of 3-D data without num_heads", "State num_heads")
    width = shape[-1] // heads
    turned = int(old.attribute("rotary_embedding_dim", 0)) or width
    cos, sin = (_angles(old, index, shape[-2] if len(shape) == 4 else shape[1]) for index in (1, 2))
    place, sign = _partners(width, turned, bool(old.attribute("interleaved", 0)))
    half = np.arange(turned) % (turned // 2) if not old.attribute("interleaved", 0) else (
        np.arange(turned) // 2
    )  # fmt: skip
    factors = np.ones((*cos.shape[:-1], width)), np.zeros((*sin.shape[:-1], width))
    factors[0][..., :turned], factors[1][..., :turned] = cos[..., half], sin[..., half]
    factors[1][..., :turned] *= sign
    if len(shape) == 3:  # all heads side by side
        place = (np.arange(heads)[:, None] * width + place).reshape(-1)
        first, second = (np.tile(f, heads) for f in factors)
    else:
        first, second = (f[:, None] for f in factors)
    names = [old.constant(f.astype(np.float32), w) for f, w in ((first, "cos"), (second, "sin"))]
    straight = old.part("Mul", [name, names[0]], "straight")
    chosen = old.constant(place.astype(np.int64), "partner")
    partner = old.part("Gather", [name, chosen], "exchanged", axis=-1)
    across = old.part("Mul", [partner.output[0], names[1]], "across")
    return [straight, partner, across, old.part("Add", [straight.output[0], across.output[0]])]


def _angles(old: Old, index: int, length: int) -> Any:
    """(B or 1, length, half) cosines or sines, constant."""
    given = old.given(index).astype(np.float64)
    if old.input(3):
        given = given[old.given(3)]
    return given if given.ndim == 3 else given[None, :length]


def _partners(width: int, turned: int, interleaved: bool) -> tuple[Any, Any]:
    """Which element each is exchanged with, and the sign of what comes from there."""
    place = np.arange(width)
    half = turned // 2
    if interleaved:
        place[:turned] ^= 1
        return place, np.where(np.arange(turned) % 2 == 0, -1.0, 1.0)
    place[:half], place[half:turned] = np.arange(half, turned), np.arange(half)
    return place, np.where(np.arange(turned) < half, -1.0, 1.0)


def centered(old: Old) -> list[Any]:
    """CenterCropPad: slices of what is too large, zeros around what is too small."""
    shape = old.kind(old.input(0)).shape
    sizes = [int(v) for v in old.given(1).reshape(-1)]
    axes = [axis_of(int(a), len(shape)) for a in old.attribute("axes", range(len(shape)))]
    starts, ends, pads = [0] * len(shape), list(shape), [[0, 0] for _ in shape]
    for axis, size in zip(axes, sizes, strict=True):
        less = abs(shape[axis] - size)
        if size < shape[axis]:
            starts[axis], ends[axis] = less // 2, less // 2 + size
        else:
            pads[axis] = [less // 2, less - less // 2]
    inputs = [old.integers(v, w) for v, w in ((starts, "start"), (ends, "end"))]
    cut = old.part("Slice", [old.input(0), *inputs], "cut")
    around = old.constant(np.array(pads, np.int64).T.reshape(-1), "pads")
    return [cut, old.part("Pad", [cut.output[0], around])]


def compressed(old: Old) -> list[Any]:
    """Compress by a constant condition picks places."""
    picked = np.flatnonzero(old.given(1))
    axis, name = old.attribute("axis"), old.input(0)
    chosen = old.constant(picked.astype(np.int64), "picked")
    if axis is not None:
        return [old.part("Gather", [name, chosen], axis=int(axis))]
    flat = old.part("Reshape", [name, old.constant(np.array([-1]), "flat")], "row")
    return [flat, old.part("Gather", [flat.output[0], chosen])]


STANDARD: dict[str, Rewrite] = {
    "OneHot": one_hot,
    "LpNormalization": length_one,
    "SwiGLU": gated,
    "RotaryEmbedding": rotary,
    "CenterCropPad": centered,
    "Compress": compressed,
}
