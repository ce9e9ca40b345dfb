"""What lstm, gru and rnn share: rows of products, curves by table, the walk along a sequence.

All are whole sequences: x (1, ..., T, I), its steps in order in memory, to every state
(1, ..., T, H) or to the last one, (1, H). The inner state h has 16 bits, whatever the output has.

A row is one dot product with the input and one with the state, of a gate's pre-activation z:

    z = clamp((((sum w * x) << left) + sum r * h + b) >> right, z_min, z_max)

rounded once: b holds both biases, the input's zero and half of 2**right. ``w`` and ``r`` have a
frac of their own in each row. No sum can overflow 32 bits: the finer the weights the larger they
are, and a row whose bound does not fit gets coarser ones.

Sigmoid and tanh are lines between 513 points 1/32 apart, z having frac 12 and v frac 15:

    v = t[k] + (((t[k + 1] - t[k]) * (z & 127) + 64) >> 7)      k = (z >> 7) + 256
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from mcuq.errors import ModelError
from mcuq.fixed import (
    RANGES,
    FloatArray,
    IntArray,
    half,
    quantize,
    round_half_up,
    saturate,
)
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import forms
from mcuq.ops.parts.weights import ACC_MAX, quantize_weights, weight_fracs
from mcuq.ops.recurrent.curves import GATE_FRAC, POINTS, points
from mcuq.ops.spec import Along, Form, Schema, Section, TorchTensor
from mcuq.qir import QGraph, QTensor, QTensors, frac_of
from mcuq.schema import Fields, choice, flag, optional, real, several, whole

STATE_FRAC = 15
"""Of the state, which lies between -1 and 1, unless it starts outside or nothing bounds it."""

GIVES = ("all", "last", "cell")
"""What a node writes: all states in the order of the inputs, the last state, the last cell."""

_HEADROOM = 1.5
"""How far beyond what calibration has seen a value inside may go."""
_ROW_FRAC_MAX = 15
_LEFT_MAX = 24
_OUT_SHIFT_MAX = 22


@dataclass(frozen=True, eq=False)
class Rows:
    """The integers of some rows: ``input`` (R, I), ``state`` (R, H), ``bias`` and the shifts.

    ``input_fracs``, ``state_fracs``, ``fracs``: of the weights, and of the bias and the sums.
    """

    input: IntArray
    state: IntArray
    bias: IntArray
    left: IntArray
    right: IntArray
    input_fracs: IntArray
    state_fracs: IntArray
    fracs: IntArray


@dataclass(frozen=True)
class Numbers:
    """The fracs around rows: of the input with its zero and largest magnitude, the state, z."""

    input: int
    zero: int
    peak: int
    state: int
    gate: int = GATE_FRAC


def numbers(x: QTensor, state: int, gate: int = GATE_FRAC) -> Numbers:
    """Those of rows that read the activation ``x`` and a state with this frac."""
    return Numbers(frac_of(x), x.zero, -RANGES[x.kind][0], state, gate)


def rows_of(w: FloatArray, r: FloatArray, bias: FloatArray, n: Numbers) -> Rows:
    """The finest integers of rows ``w`` (R, I) and ``r`` (R, H) whose sums fit 32 bits.

    The input's part is never finer than the state's: what it would gain is lost in the other.
    """
    w_fracs = np.array(weight_fracs(w, 0), np.int64)
    fracs = np.minimum(np.array(weight_fracs(r, 0), np.int64), _ROW_FRAC_MAX)
    fracs = np.minimum(fracs, w_fracs + n.input + _LEFT_MAX - n.state)
    while True:
        total = fracs + n.state
        finest = np.minimum(w_fracs, total - n.input)
        left, right = total - n.input - finest, total - n.gate
        if bool((right < 0).any()):
            raise OverflowError("its weights are too large for the sums of a gate")
        wi, ri = (quantize_weights(v, 0, f.tolist()) for v, f in ((w, finest), (r, fracs)))
        scaled = np.clip(bias.astype(np.float64) * 2.0**total, -(2.0**40), 2.0**40)
        shifted = wi.astype(np.int64).sum(axis=1) * (1 << left)
        b = round_half_up(scaled) - n.zero * shifted + ((1 << right) >> 1)
        reach = n.peak * np.abs(wi.astype(np.int64)).sum(axis=1) * (1 << left)
        reach += 32768 * np.abs(ri.astype(np.int64)).sum(axis=1)
        large = np.abs(b) + reach > ACC_MAX
        if not large.any():
            return Rows(wi, ri, b.astype(np.int32), left, right, finest, fracs, total)
        fracs = fracs - large


def reals(graph: Graph, name: str, weights: QTensors) -> FloatArray:
    """A matrix (R, n) of rows: as chosen integers mean it, if they are among ``weights``."""
    chosen = weights.get(name)
    if chosen is None or chosen.data is None:
        return graph.data(name)
    fracs = np.array(chosen.frac, np.float64).reshape(-1, 1)
    return np.asarray(chosen.data * 2.0**-fracs, np.float64)


def together(
    node: Node, inputs: Sequence[TorchTensor], states: Sequence[TorchTensor]
) -> tuple[TorchTensor, TorchTensor]:
    """(M, I) and (M, H): the vectors of the sequence, and the state before each of its steps."""
    import torch

    x, start = inputs[0], inputs[4]
    before = [spread_start(start, len(x)), *states[:-1]]
    return torch.cat(steps_of(node, x)), torch.cat(before)


def from_state(h: TorchTensor, r: TorchTensor, bias: TorchTensor | None = None) -> TorchTensor:
    """(N, H) -> (N, R), of rows (R, H) that all share, or (N, R, H) of each one's own."""
    import torch

    if r.dim() == 2:
        return torch.nn.functional.linear(h, r, bias)
    found = (r @ h.unsqueeze(-1)).squeeze(-1)
    return found if bias is None else found + bias


def one_section(
    node: Node, inputs: Sequence[TorchTensor], states: Sequence[TorchTensor]
) -> tuple[Section, ...]:
    """That of rows which all meet the input and the state."""
    every = slice(0, len(inputs[1]))
    return (Section(every, every, *together(node, inputs, states)),)


def checked(graph: Graph, node: Node, make: Callable[[], Rows]) -> Rows:
    """What ``make`` returns; its OverflowError becomes the user's error."""
    try:
        return make()
    except OverflowError as error:
        remedy = "Scale its weights down in the network"
        raise ModelError(graph.name, f"node '{node.name}': {error}", remedy) from None


def row_constants(name: str, rows: Rows) -> tuple[QTensor, ...]:
    """The weights of the input, those of the state, and the biases, as constants."""
    made = (
        ("weight", "s8", rows.input_fracs, rows.input),
        ("recurrence", "s8", rows.state_fracs, rows.state),
        ("bias", "s32", rows.fracs, rows.bias),
    )
    return tuple(
        QTensor(f"{name}.{part}", data.shape, kind, tuple(int(f) for f in fracs), 0, data)
        for part, kind, fracs, data in made
    )


def state_constant(name: str, data: FloatArray, frac: int) -> QTensor:
    """A state at the start, as a constant."""
    held = quantize(data.reshape(-1), frac, 0, "s16")
    return QTensor(name, held.shape, "s16", frac, 0, held)


def curve_constants(name: str, *curves: str) -> tuple[QTensor, ...]:
    """The tables of ``curves``, as constants."""
    shape = (POINTS,)
    return tuple(QTensor(f"{name}.{c}", shape, "s16", 15, 0, points(c)) for c in curves)


def gate_range(node: Node, frac: int = GATE_FRAC) -> tuple[int, int]:
    """What z is clamped to: the ends of 16 bits, or the attribute ``limit`` (0: none)."""
    limit = float(node.attrs.get("limit", 0.0))
    most = min(math.floor(limit * 2.0**frac + 0.5), RANGES["s16"][1])
    return (-most, most) if limit > 0.0 else RANGES["s16"]


def frac_within(peak: float, most: int) -> int:
    """The frac, at most ``most`` and at least 0, of a 16-bit value inside up to ``peak``.

    >>> frac_within(0.1, 12), frac_within(5.3, 12), frac_within(5.5, 12)
    (12, 12, 11)
    """
    if peak <= 0.0:
        return most
    return max(0, min(most, math.floor(math.log2(32767 / (_HEADROOM * peak)))))


def start_frac(start: FloatArray) -> int:
    """The frac of a state within +-1 that starts here: the attribute ``state_frac``.

    >>> start_frac(np.array([-1.0, 0.5])), start_frac(np.array([1.5]))
    (15, 14)
    """
    peak = float(np.abs(start).max(initial=0.0))
    return STATE_FRAC if peak <= 1.0 else max(0, math.floor(math.log2(32767 / peak)))


def state_frac(node: Node) -> int:
    """The attribute ``state_frac``; without it the state stays within +-1."""
    return int(node.attrs.get("state_frac", STATE_FRAC))


@dataclass(frozen=True)
class Output:
    """How a state with frac ``inner`` is written: shift right, rounded; add the zero; saturate."""

    shift: int
    zero: int


def output_form(graph: Graph, node: Node, inner: int, output: QTensor) -> Output:
    """How the node's 16-bit values with frac ``inner`` become its output."""
    shift = inner - frac_of(output)
    if not 0 <= shift <= _OUT_SHIFT_MAX:
        reason = f"node '{node.name}': frac {output.frac} does not suit its output"
        raise ModelError(graph.name, reason, f"Use {inner - _OUT_SHIFT_MAX} to {inner}")
    return Output(shift, output.zero)


def written(values: IntArray, node: Node, kind: str) -> Array:
    """Inner values as the integers of the output."""
    shift = node.int("out_shift")
    return saturate(((values + half(shift)) >> shift) + node.int("out_zero"), kind)


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, ..., T, H), or (1, H) if only the last state is given."""
    hidden = shapes[2][1]
    return (*shapes[0][:-1], hidden) if node.attrs["gives"] == "all" else (shapes[0][0], hidden)


def along(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """Each row is made of the same row of the input and of the state after the one before."""
    if axis != len(shapes[0]) - 2 or prod(shapes[0][:axis]) > 1:
        return "its steps are not the frames"
    if node.attrs["reverse"]:
        return "it runs backwards, from frames that a stream does not have yet"
    return Along(axis, lambda count: node)


def sequence(node: Node, shapes: Sequence[Shape]) -> bool:
    """A recurrent layer reads a sequence of vectors that suits its weights."""
    x, w, r = shapes[:3]
    hidden = r[1]
    fits = len(x) >= 2 and x[-1] == w[1] and len(w) == len(r) == 2 and w[0] == r[0]
    return fits and min(*x, hidden) >= 1 and r[0] % hidden == 0


def macs(node: Node, shapes: Sequence[Shape], output: Shape) -> int:
    """One per weight and step."""
    return (prod(shapes[1]) + prod(shapes[2])) * (prod(shapes[0][1:]) // shapes[1][1])


def steps_of(node: Node, x: TorchTensor) -> list[TorchTensor]:
    """The vectors (N, I) of the sequence, in the order in which they are read."""
    found = list(x.reshape(len(x), -1, x.shape[-1]).unbind(1))
    return found[::-1] if node.attrs["reverse"] else found


def stacked(node: Node, x: TorchTensor, states: Sequence[TorchTensor]) -> TorchTensor:
    """States in the order in which they were made -> the output, of all or of the last one."""
    import torch

    if node.attrs["gives"] != "all":
        return states[-1]
    ordered = states[::-1] if node.attrs["reverse"] else states
    return torch.stack(list(ordered), 1).reshape(*x.shape[:-1], -1)


def spread_start(start: TorchTensor, count: int) -> TorchTensor:
    """The state at the start for ``count`` sequences."""
    return start.reshape(1, -1).expand(count, -1)


def limited(node: Node, z: TorchTensor) -> TorchTensor:
    """A pre-activation within the attribute ``limit``."""
    limit = float(node.attrs.get("limit", 0.0))
    return z.clamp(-limit, limit) if limit > 0.0 else z


CellStep = Callable[[IntArray, IntArray], tuple[IntArray, IntArray]]
"""(what the rows of the input give, the state) -> (the next state, what is written)."""


def walk(node: Node, kind: str, x: Array, sums: IntArray, start: Array, step: CellStep) -> Array:
    """``step`` along the sequences: the node's output in integers.

    ``sums``: (N, T, R), what the input gives each row, shifted. ``start``: (H,).
    """
    state = np.broadcast_to(start.astype(np.int64), (len(x), len(start)))
    order = range(sums.shape[1])
    made = []
    for t in reversed(order) if node.attrs["reverse"] else order:
        state, out = step(sums[:, t], state)
        made.append(out)
    if node.attrs["gives"] != "all":
        return written(made[-1], node, kind)
    found = np.stack(made[::-1] if node.attrs["reverse"] else made, axis=1)
    return written(found.reshape(*x.shape[:-1], -1), node, kind)


def products(vectors: Array, weights: Array) -> IntArray:
    """(..., I) times rows (R, I), exact, as int64: every sum is an integer below 2**53."""
    return (vectors.astype(np.float64) @ weights.T.astype(np.float64)).astype(np.int64)


def input_sums(node: Node, x: Array, weights: Array) -> IntArray:
    """(N, T, R): what the input gives each row, shifted left."""
    vectors = x.reshape(len(x), -1, x.shape[-1])
    return products(vectors, weights) << np.array(node.ints("left"), np.int64)


def gates(node: Node, sums: IntArray, bias: Array, first: int = 0) -> IntArray:
    """Sums, from row ``first`` on -> z."""
    right = np.array(node.ints("right")[first : first + sums.shape[-1]], np.int64)
    z = (sums + bias[first : first + sums.shape[-1]]) >> right
    return within(node, z)


def within(node: Node, z: IntArray) -> IntArray:
    """``z`` clamped to what a pre-activation may be."""
    found: IntArray = np.clip(z, node.int("z_min"), node.int("z_max"))
    return found


def int_node(
    node: Node, constants: Sequence[QTensor], rows: Rows, output: Output, **attrs: int | str
) -> Node:
    """The integer node that reads x and ``constants``."""
    low, high = gate_range(node)
    return replace(
        node,
        inputs=(node.inputs[0], *(constant.name for constant in constants)),
        attrs={
            "gives": node.attrs["gives"],
            "reverse": node.attrs["reverse"],
            "left": tuple(int(v) for v in rows.left),
            "right": tuple(int(v) for v in rows.right),
            "z_min": low,
            "z_max": high,
            "out_shift": output.shift,
            "out_zero": output.zero,
            **attrs,
        },
    )


def schema(attrs: Fields, integers: Fields, constants: tuple[str, ...], faults: Faults) -> Schema:
    """Of an operator whose nodes have ``attrs`` and ``integers`` beside those that all have.

    ``constants``: what it reads behind the rows, of which the last are curves.
    """

    def all_faults(node: Node, qgraph: QGraph) -> Iterator[str]:
        yield from forms.same_kind(node, qgraph, node.inputs[:1])
        yield from _constant_faults(node, qgraph, constants)
        yield from faults(node, qgraph)

    count = len([name for name in constants if name not in _CURVES])
    in_float: Fields = {
        **_COMMON,
        **attrs,
        "limit": optional(real(0.0)),
        "peak": optional(real(0.0)),
        "state_frac": optional(whole(0, STATE_FRAC)),
    }
    return Schema(
        Form(in_float, constants=3 + count),
        Form({**_COMMON, **_NUMBERS, **integers}, constants=3 + len(constants)),
        all_faults,
    )


def _constant_faults(node: Node, qgraph: QGraph, names: tuple[str, ...]) -> Iterator[str]:
    """Kinds and lengths of the constants, and that the curves are those of their names."""
    hidden = qgraph.tensors[node.inputs[2]].shape[1]
    kinds = [qgraph.tensors[name].kind for name in node.inputs[1:4]]
    if kinds != ["s8", "s8", "s32"]:
        yield f"its weights are {kinds[0]} and {kinds[1]}, its bias {kinds[2]}"
    for name, constant in zip(names, node.inputs[4:], strict=True):
        tensor, size = qgraph.tensors[constant], POINTS if name in _CURVES else hidden
        if (tensor.kind, tensor.shape) != ("s16", (size,)):
            yield f"its {name} is {tensor.kind} of {tensor.shape}"
        elif name in _CURVES and not _is_curve(qgraph.data(constant), curve_of(node, name)):
            yield f"its table is not that of {curve_of(node, name)}"


def _is_curve(data: Array, curve: str) -> bool:
    """Whether these are the curve's points, but for a last bit that differs between machines."""
    return bool(np.abs(data.astype(np.int64) - points(curve)).max() <= 1)


def curve_of(node: Node, name: str) -> str:
    """The curve that a constant holds: "activation" is the node's, tanh standing for none."""
    if name != "activation":
        return name
    return "tanh" if node.attrs["activation"] == "relu" else str(node.attrs["activation"])


def sum_faults(
    node: Node, qgraph: QGraph, state: int, gate: int, split: int | None = None
) -> Iterator[str]:
    """Shifts follow from the fracs, and no 32-bit sum can overflow.

    ``state``, ``gate``: fracs of the state and of z; from row ``split`` on, rows of the input, of a
    z with the frac of ``candidate_frac``, are followed by as many of the state alone.
    """
    x, w, r, b = (qgraph.tensors[name] for name in node.inputs[:4])
    rows = w.shape[0]
    both = rows if split is None else split
    left, right = np.array(node.ints("left")), np.array(node.ints("right"))
    total = 2 * rows - both
    if b.shape != (total,) or len(left) != rows or len(right) != total:
        yield "its biases and shifts are not one for each row"
        return
    gates = np.full(total, gate)
    gates[both:] = node.attrs.get("candidate_frac", gate)
    if (np.array(b.frac) - right != gates).any():
        yield "right is not what leads to the gates' frac"
    elif (np.array(b.frac)[:rows] - np.array(w.frac) - frac_of(x) != left).any():
        yield "left is not what the input lacks to its sums"
    elif (np.array(b.frac)[np.r_[:both, rows:total]] - np.array(r.frac) != state).any():
        yield "its sums have another frac than the state's products"
    elif _largest(node, qgraph, both) > ACC_MAX:
        yield "its sums do not fit 32 bits"


def _largest(node: Node, qgraph: QGraph, both: int) -> int:
    """The largest magnitude that a sum can have."""
    w, r, b = (np.abs(qgraph.data(name).astype(np.int64)) for name in node.inputs[1:4])
    peak, rows = -RANGES[qgraph.tensors[node.inputs[0]].kind][0], len(w)
    sums = b.copy()
    sums[:rows] += peak * w.sum(axis=1) << np.array(node.ints("left"), np.int64)
    sums[np.r_[:both, rows : len(b)]] += 32768 * r.sum(axis=1)
    return int(sums.max())


def output_faults(node: Node, qgraph: QGraph, inner: int) -> Iterator[str]:
    """The output follows from values inside with the frac ``inner``; z has a range."""
    y = qgraph.tensors[node.output]
    yield from forms.follows(node, {"out_shift": inner - frac_of(y), "out_zero": y.zero})
    if node.int("z_min") > node.int("z_max"):
        yield "z_min is above z_max"


Faults = Callable[[Node, QGraph], Iterable[str]]
_CURVES = ("sigmoid", "tanh", "activation")
_COMMON: Fields = {"gives": choice(GIVES), "reverse": flag}
_NUMBERS: Fields = {
    "left": several(whole(0, _LEFT_MAX), 1),
    "right": several(whole(0, 31), 1),
    "z_min": whole(-32768, 32767),
    "z_max": whole(-32768, 32767),
    "out_shift": whole(0, _OUT_SHIFT_MAX),
    "out_zero": whole(-128, 127),
    "state_frac": whole(0, STATE_FRAC),
}
