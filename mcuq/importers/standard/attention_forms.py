"""Attention as one operator, of ONNX and of com.microsoft, as products, sums and a softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.standard.modern import Old, Parts
from mcuq.ir import Array

_FLOAT = "Export the model without fused attention"
BIASED = 2
"""The place of the scores with the mask among those that qk_matmul_output_mode counts."""


@dataclass(frozen=True, eq=False)
class Bias:
    """What is added to the scores: a computed mask, and constants, perhaps minus infinity.

    ``seen``: (..., L, 1), 0 for the queries that see no key at all, whose result is 0; None: all
    see one.
    """

    computed: str = ""
    added: Array | None = None
    seen: Array | None = None


class Heads(Parts):
    """The parts of attention."""

    def heads(self, name: str, count: int, what: str) -> str:
        """(B, L, heads * size) as (B, heads, L, size)."""
        shape = self.constant(np.array([0, 0, count, -1]), f"{what}_shape")
        apart = self.add("Reshape", [name, shape], f"{what}_apart")
        return self.add("Transpose", [apart], f"{what}_heads", perm=[0, 2, 1, 3])

    def repeated(self, name: str, times: int, what: str, shape: Sequence[int]) -> str:
        """Each of the heads ``times`` times, for groups of queries."""
        if times == 1:
            return name
        axis = self.constant(np.array([2]), f"{what}_axis")
        wide = self.add("Unsqueeze", [name, axis], f"{what}_wide")
        sizes = self.constant(np.array([1, 1, times, 1, 1]), f"{what}_times")
        spread = self.add("Expand", [wide, sizes], f"{what}_spread")
        batch, heads, length, size = shape
        joined = self.constant(np.array([batch, heads * times, length, size]), f"{what}_joined")
        return self.add("Reshape", [spread, joined], f"{what}_repeated")

    def shares(self, q: str, k: str, scale: float, bias: Bias, softcap: float = 0.0) -> list[str]:
        """(B, heads, L, keys): the scores, with their cap, with the bias, and their softmax."""
        turned = self.add("Transpose", [k], "turned", perm=[0, 1, 3, 2])
        product = self.add("MatMul", [q, turned], "product")
        scores = self.add("Mul", [product, self.constant(np.float32(scale), "scale")], "scores")
        capped = scores
        if softcap:
            cap = self.constant(np.float32(softcap), "cap")
            small = self.add("Div", [scores, cap], "small")
            capped = self.add("Mul", [self.add("Tanh", [small], "bent"), cap], "capped")
        biased = capped
        if bias.computed:
            biased = self.add("Add", [biased, bias.computed], "moved")
        if bias.added is not None:
            given = self.constant(bias.added.astype(np.float32), "mask")
            biased = self.add("Add", [biased, given], "biased")
        shares = self.add("Softmax", [biased], "shares", axis=-1)
        if bias.seen is not None:
            seen = self.constant(bias.seen.astype(np.float32), "seen")
            shares = self.add("Mul", [shares, seen], "seen_shares")
        return [scores, capped, biased, shares]

    def joined(self, name: str, index: int = 0) -> None:
        """(B, heads, L, size) as (B, L, heads * size): output ``index`` of the operator."""
        back = self.add("Transpose", [name], "back", perm=[0, 2, 1, 3])
        shape = self.constant(np.array([0, 0, -1]), "flat")
        self.name(self.add("Reshape", [back, shape], "joined"), index)


def attention(old: Old) -> list[Any]:
    """Attention of ONNX (opset 23): 3-D with numbers of heads, or 4-D."""
    parts = Heads(old)
    flat = old.rank(old.input(0)) == 3
    names = [old.input(i) for i in range(3)]
    shapes = [list(old.kind(name).shape) for name in names]
    if flat:
        counts = [int(old.attribute(f"{key}_num_heads", 1)) for key in ("q", "kv", "kv")]
        shapes = [[s[0], n, s[1], s[2] // n] for s, n in zip(shapes, counts, strict=True)]
        named = zip(names, counts, ("query", "key", "value"), strict=True)
        names = [parts.heads(name, count, what) for name, count, what in named]
    past = old.kind(old.input(4)).shape[2] if old.input(4) else 0
    for index, what in ((1, "keys"), (2, "values")):
        if past:
            names[index] = parts.add("Concat", [old.input(3 + index), names[index]], what, axis=2)
            shapes[index][2] += past
    q, k, v = names
    groups = shapes[0][1] // shapes[1][1]
    scale = float(old.attribute("scale", 1 / sqrt(shapes[0][3])))
    bias = _bias(old, parts, shapes[0][2], shapes[1][2], past)
    softcap = float(old.attribute("softcap", 0.0))
    keys = parts.repeated(k, groups, "k", shapes[1])
    values = parts.repeated(v, groups, "v", shapes[2])
    stages = parts.shares(q, keys, scale, bias, softcap)
    result = parts.add("MatMul", [stages[-1], values], "attended")
    if flat:
        parts.joined(result)
    else:
        parts.name(result, 0)
    for index, found in enumerate((k, v, _stage(old, bias, stages)), 1):
        if old.wants(index):
            parts.name(found, index)
    return parts.nodes


def _stage(old: Old, bias: Bias, stages: Sequence[str]) -> str:
    """What the fourth output shows of the scores."""
    mode = int(old.attribute("qk_matmul_output_mode", 0))
    if not 0 <= mode < len(stages):
        raise Refused(f"qk_matmul_output_mode {mode}", "Use 0 to 3")
    endless = bias.seen is not None or (
        bias.added is not None and bool(np.isneginf(bias.added).any())
    )
    if old.wants(3) and mode == BIASED and endless:
        raise Refused(
            "Attention that gives scores of minus infinity", "Give the scores without mask"
        )
    return stages[mode]


def _bias(old: Old, parts: Heads, queries: int, keys: int, past: int) -> Bias:
    """What is added to the scores: the mask, and what lies beside the window or behind the end."""
    shown = _shown(old, queries, keys, past)
    hidden = None if bool(shown.all()) else np.where(shown, 0.0, -np.inf)
    name = old.input(3)
    if not name:
        return _rows(hidden)
    missing = keys - old.kind(name).shape[-1]
    given = old.constants.get(name)
    if given is None:
        if not old.kind(name).real:
            raise Refused("a computed mask of truth values", "Let the mask be reals that are added")
        if not missing:
            return _rows(hidden, name)
        pads = [0] * (2 * old.rank(name) - 1) + [missing]
        wide = parts.add("Pad", [name, parts.constant(np.array(pads), "pads")], "wide")
        beyond = np.where(np.arange(keys) < keys - missing, 0.0, -np.inf)
        return _rows(beyond if hidden is None else hidden + beyond, wide)
    mask = _added(given)
    mask = np.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, missing)], constant_values=-np.inf)
    return _rows(mask if hidden is None else mask + hidden)


def _rows(added: Array | None, computed: str = "") -> Bias:
    """The bias, without the rows of which nothing would be left."""
    if added is None:
        return Bias(computed)
    seen = np.asarray(np.isfinite(added).any(axis=-1, keepdims=True))
    if bool(seen.all()):
        return Bias(computed, added)
    return Bias(computed, np.where(seen, added, 0.0), seen)


def _shown(old: Old, queries: int, keys: int, past: int) -> Array:
    """(L, keys), or (B, 1, L, keys) where lengths differ: which keys a query may see.

    Query i stands at the place i + ``past``, with given lengths i + length - L.
    """
    place = np.arange(queries)[:, None] + past
    ends = None
    if old.input(6):
        ends = old.given(6).astype(np.int64).reshape(-1, 1, 1, 1)
        place = np.arange(queries)[:, None] + ends - queries
    ahead = np.arange(keys) - place
    shown = np.ones(ahead.shape, bool)
    left, right = (int(old.attribute(f"{side}_window_size", -1)) for side in ("left", "right"))
    if left >= 0:
        shown &= -ahead <= left
    if right >= 0:
        shown &= ahead <= right
    if old.attribute("is_causal", 0):
        shown &= ahead <= 0
    return shown if ends is None else shown & (np.arange(keys) < ends)


def _added(mask: Array) -> Array:
    """A mask as what is added: nothing, or minus infinity."""
    if mask.dtype == np.bool_:
        return np.where(mask, 0.0, -np.inf)
    return mask.astype(np.float64)


def _refuse(old: Old, indices: Sequence[int], what: str) -> None:
    if any(old.input(i) for i in indices):
        raise Refused(f"{old.node.op_type} with {what}", _FLOAT)


def multi_head(old: Old) -> list[Any]:
    """com.microsoft's MultiHeadAttention of three (B, L, C) inputs, perhaps with a bias."""
    if not old.input(1) or not old.input(2):
        raise Refused("MultiHeadAttention of packed inputs", _FLOAT)
    _refuse(old, (4, 6, 7), "a mask by length or a cache")
    parts, heads = Heads(old), int(old.attribute("num_heads", 1))
    names = [old.input(i) for i in range(3)]
    if old.input(3):
        sizes = [old.kind(name).shape[-1] for name in names]
        biases = np.split(old.given(3), np.cumsum(sizes)[:-1])
        names = [
            parts.add("Add", [name, parts.constant(bias, "part")], "moved")
            for name, bias in zip(names, biases, strict=True)
        ]
    size = old.kind(old.input(0)).shape[-1] // heads
    return _whole(old, parts, names, heads, size, old.input(5))


def packed(old: Old) -> list[Any]:
    """com.microsoft's Attention: one layer makes queries, keys and values."""
    _refuse(old, (3, 4), "a mask by length or a cache")
    parts, heads = Heads(old), int(old.attribute("num_heads", 1))
    weights = old.given(1)
    width = weights.shape[1]
    given = [int(v) for v in old.attribute("qkv_hidden_sizes", ())]
    sizes = given or [width // 3] * 3
    made = parts.add("MatMul", [old.input(0), old.input(1)], "layer")
    if old.input(2):
        made = parts.add("Add", [made, old.input(2)], "moved")
    ends = np.cumsum(sizes)
    axis = parts.constant(np.array([2]), "axis")
    names = [
        parts.add(
            "Slice",
            [made, *(parts.constant(np.array([n]), "end") for n in (end - size, end)), axis],
            "part",
        )
        for size, end in zip(sizes, ends, strict=True)
    ]
    return _whole(old, parts, names, heads, sizes[0] // heads, old.input(5))


def _whole(
    old: Old, parts: Heads, names: Sequence[str], heads: int, size: int, bias: str
) -> list[Any]:
    """Heads, products and softmax of three (B, L, C) parts."""
    if any(old.node.output[1:]):
        raise Refused(f"{old.node.op_type} with a cache", _FLOAT)
    if old.attribute("unidirectional", 0):
        raise Refused(f"{old.node.op_type} of one direction", "Give a mask as attention bias")
    scale = float(old.attribute("scale", 0.0)) or 1 / sqrt(size)
    named = zip(names, ("query", "key", "value"), strict=True)
    q, k, v = (parts.heads(name, heads, what) for name, what in named)
    shares = parts.shares(q, k, scale, Bias(bias))[-1]
    parts.joined(parts.add("MatMul", [shares, v], "attended"))
    return parts.nodes
