"""What goes along an axis step by step, written out: running products, linear attention, and
causal convolutions that take what they saw before as an input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.nodes.call import axis_of
from mcuq.importers.standard.attention_forms import Heads
from mcuq.importers.standard.modern import Old, Parts

Rewrite = Callable[[Old], list[Any] | None]
MAX_STEPS = 64
"""More steps are not written out."""
RULES = {"linear": (0, 0), "gated": (1, 0), "delta": (0, 1), "gated_delta": (1, 1)}
"""Whether the state of LinearAttention decays by a rule, and whether it corrects what it holds."""


def running_product(old: Old) -> list[Any] | None:
    """CumProd: the product so far, times the next row."""
    name = old.input(0)
    if name in old.constants:
        return None
    shape = old.kind(name).shape
    axis = axis_of(int(old.given(1).reshape(-1)[0]), len(shape))
    count, parts = shape[axis], Parts(old)
    if count > MAX_STEPS:
        raise Refused(f"CumProd over {count} values", f"Multiply at most {MAX_STEPS}")
    order = range(count)[:: -1 if old.attribute("reverse", 0) else 1]
    targets, rows, running = order, {}, ""
    if old.attribute("exclusive", 0):
        one = [1 if a == axis else size for a, size in enumerate(shape)]
        rows[order[0]] = parts.constant(np.ones(one, np.float32), "one")
        targets = order[1:]
    for source, target in zip(order, targets, strict=False):
        row = parts.row(name, source, axis)
        running = parts.add("Mul", [running, row], "product") if running else row
        rows[target] = running
    joined = [rows[place] for place in range(count)]
    parts.name(parts.add("Concat", joined, "rows", axis=axis), 0)
    return parts.nodes


def causal_conv(old: Old) -> list[Any]:
    """CausalConvWithState: what was seen before in front of the data, and a depthwise Conv."""
    name, past, kernel = old.input(0), old.input(3), old.given(1)
    channels, parts = kernel.shape[0], Parts(old)
    before, length = kernel.shape[2] - 1, old.kind(name).shape[2]
    if past:
        name = parts.add("Concat", [past, name], "seen", axis=2)
    elif before:
        pads = parts.constant(np.array([0, 0, before, 0, 0, 0]), "pads")
        name = parts.add("Pad", [name, pads], "seen")
    if old.wants(1):
        if not before:
            raise Refused("a state of CausalConvWithState without values", "Leave it out")
        cut = [parts.constant(np.array([v]), "cut") for v in (length, length + before, 2)]
        parts.name(parts.add("Slice", [name, *cut], "last"), 1)
    given = [n for n in (name, old.input(1), old.input(2)) if n]
    made = parts.add("Conv", given, "sum", group=channels, kernel_shape=[before + 1])
    activation = str(old.attribute("activation", "none"))
    if activation not in ("none", "silu", "swish"):
        raise Refused(f"CausalConvWithState with the activation {activation}", "Use silu or none")
    parts.name(made if activation == "none" else parts.add("Swish", [made], "bent"), 0)
    return parts.nodes


@dataclass(frozen=True)
class _Sizes:
    """Of LinearAttention: queries come in ``groups`` for each of the ``heads`` of the keys."""

    batch: int
    steps: int
    heads: int
    groups: int
    key: int
    value: int


def linear_attention(old: Old) -> list[Any]:
    """LinearAttention: at once if nothing of its state decays, else step by step."""
    rule = str(old.attribute("update_rule", "gated_delta"))
    if rule not in RULES or tuple(int(bool(old.input(i))) for i in (4, 5)) != RULES[rule]:
        raise Refused(f"LinearAttention by the rule {rule}, with other inputs", "Export it again")
    (batch, steps, width), values = (old.kind(old.input(i)).shape for i in (0, 2))
    queries, heads = (int(old.attribute(f"{key}_num_heads", 0)) for key in ("q", "kv"))
    if heads < 1 or queries % heads or queries < 1:
        raise Refused(f"{queries} heads of queries for {heads}", "Export the model again")
    sizes = _Sizes(batch, steps, heads, queries // heads, width // queries, values[2] // heads)
    parts = Heads(old)
    scale = float(old.attribute("scale", 0.0)) or 1 / sqrt(sizes.key)
    factor = parts.constant(np.float32(scale), "scale")
    query = parts.heads(parts.add("Mul", [old.input(0), factor], "scaled"), queries, "query")
    key, value = (parts.heads(old.input(i), heads, w) for i, w in ((1, "key"), (2, "value")))
    if rule == "linear":
        result, state = _at_once(old, parts, sizes, (query, key, value))
    else:
        result, state = _by_steps(old, parts, sizes, (query, key, value))
    parts.joined(result)
    if old.wants(1):
        parts.name(state, 1)
    return parts.nodes


def _at_once(old: Old, parts: Heads, sizes: _Sizes, data: tuple[str, str, str]) -> tuple[str, str]:
    """(result, state): each query meets the keys up to its own, and what the state holds of it."""
    query, key, value = data
    rows = sizes.groups * sizes.steps
    query = parts.shaped(query, (sizes.batch, sizes.heads, rows, sizes.key))
    turned = parts.add("Transpose", [key], "turned", perm=[0, 1, 3, 2])
    scores = parts.add("MatMul", [query, turned], "scores")
    if sizes.steps > 1:
        past = np.tile(np.tri(sizes.steps, dtype=np.float32), (sizes.groups, 1))
        scores = parts.add("Mul", [scores, parts.constant(past, "past")], "causal")
    result = parts.add("MatMul", [scores, value], "seen")
    state = parts.add("MatMul", [turned, value], "written")
    if old.input(3):
        held = parts.add("MatMul", [query, old.input(3)], "held")
        result = parts.add("Add", [result, held], "both")
        state = parts.add("Add", [state, old.input(3)], "kept")
    heads = sizes.heads * sizes.groups
    return parts.shaped(result, (sizes.batch, heads, sizes.steps, sizes.value)), state


def _by_steps(old: Old, parts: Heads, sizes: _Sizes, data: tuple[str, str, str]) -> tuple[str, str]:
    """(result, state), of one step after the other."""
    if sizes.steps > MAX_STEPS:
        remedy = "Give it one step a call, its state an input and an output"
        raise Refused(f"LinearAttention of {sizes.steps} steps", remedy)
    query, key, value = data
    decay, strength = (_gate(old, parts, index, sizes) for index in (4, 5))
    if decay:
        decay = parts.add("Exp", [decay], "decay")
    state, rows = old.input(3), []
    for step in range(sizes.steps):
        row, write = (parts.row(name, step, 2) for name in (key, value))
        turned = parts.add("Transpose", [row], "turned", perm=[0, 1, 3, 2])
        if decay and state:
            left = parts.add("Transpose", [parts.row(decay, step, 2)], "left", perm=[0, 1, 3, 2])
            state = parts.add("Mul", [state, left], "decayed")
        if strength:
            if state:
                held = parts.add("MatMul", [row, state], "held")
                write = parts.add("Sub", [write, held], "missing")
            write = parts.add("Mul", [write, parts.row(strength, step, 2)], "write")
        written = parts.add("MatMul", [turned, write], "written")
        state = parts.add("Add", [state, written], "state") if state else written
        asked = parts.row(query, step, 2)
        asked = parts.shaped(asked, (sizes.batch, sizes.heads, sizes.groups, sizes.key))
        found = parts.add("MatMul", [asked, state], "found")
        heads = sizes.heads * sizes.groups
        rows.append(parts.shaped(found, (sizes.batch, heads, 1, sizes.value)))
    return parts.add("Concat", rows, "rows", axis=2), state


def _gate(old: Old, parts: Heads, index: int, sizes: _Sizes) -> str:
    """(B, heads or 1, steps, values of each): decay or strength; empty if there is none."""
    name = old.input(index)
    if not name:
        return ""
    width = old.kind(name).shape[-1]
    widths = (sizes.heads, sizes.heads * sizes.key) if index == 4 else (sizes.heads, 1)
    if width not in widths:
        raise Refused(f"{width} gates for {sizes.heads} heads", "Export the model again")
    return parts.heads(name, min(width, sizes.heads), "gate")


STANDARD: dict[str, Rewrite] = {
    "CumProd": running_product,
    "CausalConvWithState": causal_conv,
    "LinearAttention": linear_attention,
}
