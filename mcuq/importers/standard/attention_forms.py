"""Attention as one operator, of ONNX and of com.microsoft, as products, sums and a softmax."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.standard.modern import Old
from mcuq.ir import Array

_FLOAT = "Export the model without fused attention"
SCORES, SHARES = 0, 3
"""What qk_matmul_output_mode may ask for: the products, and what the softmax makes of them."""


class _Parts:
    """The nodes that replace one, in order."""

    def __init__(self, old: Old) -> None:
        self.old, self.nodes = old, list[Any]()

    def add(self, op: str, inputs: Sequence[str], what: str, **attrs: Any) -> str:
        """A node that writes a part; returns its name."""
        node = self.old.part(op, inputs, what, **attrs)
        self.nodes.append(node)
        return str(node.output[0])

    def name(self, node: str, index: int) -> None:
        """Let output ``index`` of the operator be the part ``node``."""
        made = self.old.part("Identity", [node], "copy")
        made.output[0] = self.old.node.output[index]
        self.nodes.append(made)

    def constant(self, data: Any, what: str) -> str:
        return self.old.constant(np.asarray(data), what)

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

    def attend(self, q: str, k: str, v: str, scale: float, bias: str, softcap: float = 0.0) -> Any:
        """(scores, shares, result) of (B, heads, L, size) each."""
        turned = self.add("Transpose", [k], "turned", perm=[0, 1, 3, 2])
        product = self.add("MatMul", [q, turned], "product")
        scores = self.add("Mul", [product, self.constant(np.float32(scale), "scale")], "scores")
        biased = scores
        if softcap:
            cap = self.constant(np.float32(softcap), "cap")
            small = self.add("Div", [biased, cap], "small")
            biased = self.add("Mul", [self.add("Tanh", [small], "bent"), cap], "capped")
        if bias:
            biased = self.add("Add", [biased, bias], "biased")
        shares = self.add("Softmax", [biased], "shares", axis=-1)
        return scores, shares, self.add("MatMul", [shares, v], "attended")

    def joined(self, name: str, index: int = 0) -> None:
        """(B, heads, L, size) as (B, L, heads * size): output ``index`` of the operator."""
        back = self.add("Transpose", [name], "back", perm=[0, 2, 1, 3])
        shape = self.constant(np.array([0, 0, -1]), "flat")
        self.name(self.add("Reshape", [back, shape], "joined"), index)


def attention(old: Old) -> list[Any]:
    """Attention of ONNX (opset 23): 3-D with numbers of heads, or 4-D."""
    _refuse(old, (6,), "lengths without padding")
    if old.attribute("left_window_size", -1) != -1 or old.attribute("right_window_size", -1) != -1:
        raise Refused("Attention with a sliding window", "Give the window as attn_mask")
    parts = _Parts(old)
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
    scores, shares, result = parts.attend(q, keys, values, scale, bias, softcap)
    if flat:
        parts.joined(result)
    else:
        parts.name(result, 0)
    mode = int(old.attribute("qk_matmul_output_mode", SCORES))
    for index, found in ((1, k), (2, v), (3, {SCORES: scores, SHARES: shares}.get(mode))):
        if index < len(old.node.output) and old.node.output[index]:
            if found is None:
                raise Refused("Attention that gives its scores with the mask", "Leave them out")
            parts.name(found, index)
    return parts.nodes


def _bias(old: Old, parts: _Parts, queries: int, keys: int, past: int) -> str:
    """What is added to the scores: the mask, and what keeps the future out."""
    future = None
    if old.attribute("is_causal", 0):
        future = np.where(np.tril(np.ones((queries, keys), bool), past), 0.0, -np.inf)
    name = old.input(3)
    if not name:
        return "" if future is None else parts.constant(future.astype(np.float32), "mask")
    given = old.constants.get(name)
    if given is None:
        if future is not None or old.kind(name).shape[-1] != keys:
            raise Refused("a computed mask beside a constant one", "Let the mask be a constant")
        return name
    mask = _added(given)
    missing = keys - mask.shape[-1]
    mask = np.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, missing)], constant_values=-np.inf)
    return parts.constant((mask + (0.0 if future is None else future)).astype(np.float32), "mask")


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
    parts, heads = _Parts(old), int(old.attribute("num_heads", 1))
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
    parts, heads = _Parts(old), int(old.attribute("num_heads", 1))
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
    old: Old, parts: _Parts, names: Sequence[str], heads: int, size: int, bias: str
) -> list[Any]:
    """Heads, products and softmax of three (B, L, C) parts."""
    if any(old.node.output[1:]):
        raise Refused(f"{old.node.op_type} with a cache", _FLOAT)
    if old.attribute("unidirectional", 0):
        raise Refused(f"{old.node.op_type} of one direction", "Give a mask as attention bias")
    scale = float(old.attribute("scale", 0.0)) or 1 / sqrt(size)
    named = zip(names, ("query", "key", "value"), strict=True)
    q, k, v = (parts.heads(name, heads, what) for name, what in named)
    parts.joined(parts.attend(q, k, v, scale, bias)[2])
    return parts.nodes
