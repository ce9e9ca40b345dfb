"""log_softmax over the last axis of ``scale`` times the input. In integers, d_i = max(q) - q_i:

    e_i = table[d_i]      S = sum e_i      l = log of S / 32767, in units of 2**-unit
    y_i = clamp((bias - d_i * mul - l) >> shift, -128, 127)

with table[d] = round(32767 * exp(-d * scale * 2**-frac_x)), mul = round(scale * 2**(unit - frac_x))
and shift = unit - frac_y; ``bias`` holds the output's zero and the rounding constant. With k the
place of the highest bit of S, and t = (S << (30 - k)) - 2**30, of which i is the upper 6 bits and r
the 16 that follow,

    l = k * log_2 + logs[i] + ((logs[i + 1] - logs[i]) * r >> 16) - log_one

logs[i] = round(2**unit * log(1 + i / 64)), log_2 and log_one those of 2 and 32767. ``unit`` is 16
unless mul then were above 2**22: so d * mul < 2**30, bias < 2**30 + 2**22, l < 2**21.

C: mcuq_log_softmax_s8.c
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mcuq.errors import ModelError
from mcuq.fixed import FloatArray, IntArray, half, round_half_up
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops.parts import along, forms
from mcuq.ops.softmax import exp_table, rescaled, scale_of, short_axis
from mcuq.ops.spec import Form, IntForm, OpSpec, Scaling, Schema, TorchTensor
from mcuq.qir import QGraph, QTensor, QTensors, frac_of
from mcuq.schema import Fields, optional, real, whole

ONE = 32767
UNIT = 16
MAX_MUL = 22
MAX_SHIFT = 23


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape."""
    return shapes[0]


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """Return s x - log(sum(exp(s x))) over the last axis, with s = ``scale`` (default 1)."""
    scale = scale_of(node)
    return (inputs[0] if scale == 1.0 else inputs[0] * scale).log_softmax(dim=-1)


def unit_of(frac: int, scale: float) -> int:
    """The bits behind the point of all logarithms.

    >>> unit_of(4, 1.0), unit_of(-8, 1.0), unit_of(4, 3e8)
    (16, 14, -3)
    """
    return min(UNIT, MAX_MUL + frac - math.ceil(math.log2(scale)))


def logs(unit: int) -> IntArray:
    """The logarithms of 1, 65 / 64, ... 2.

    >>> logs(16)[[0, 1, 64]].tolist()
    [0, 1016, 45426]
    """
    real: FloatArray = np.log1p(np.arange(65) / 64) * 2.0**unit
    return round_half_up(real).astype(np.int32)


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer form with its tables; the input's zero does not matter."""
    x, y = acts[node.inputs[0]], acts[node.output]
    frac, scale = frac_of(x), scale_of(node)
    unit = unit_of(frac, scale)
    shift = unit - frac_of(y)
    if not 0 <= shift <= MAX_SHIFT:
        raise ModelError(
            graph.name,
            f"node '{node.name}': its input and its logarithms differ too much in size",
            "Scale the logits down in the network",
        )
    attrs = {
        "scale": scale,
        "mul": int(round_half_up(np.array(scale * 2.0 ** (unit - frac)))),
        "log_2": int(round_half_up(np.array(math.log(2.0) * 2.0**unit))),
        "log_one": int(round_half_up(np.array(math.log(ONE) * 2.0**unit))),
        "bias": half(shift) + (y.zero << shift),
        "shift": shift,
    }
    tables = (
        QTensor(f"{node.output}.table", (256,), "s16", 15, 0, exp_table(frac, scale)),
        QTensor(f"{node.output}.logs", (65,), "s32", unit, 0, logs(unit)),
    )
    names = (x.name, *(table.name for table in tables))
    return IntForm(Node("log_softmax", node.name, names, node.outputs, attrs), tables)


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x s8, table s16[256], logs s32[65]) -> s8."""
    x, table, steps = inputs[0].astype(np.int32), *(t.astype(np.int64) for t in inputs[1:])
    distance = x.max(axis=-1, keepdims=True) - x
    total = table[distance].sum(axis=-1, keepdims=True)
    high = np.floor(np.log2(total)).astype(np.int64)  # exact: float64 holds every int32
    rest = (total << (30 - high)) - (1 << 30)
    index, part = rest >> 24, (rest >> 8) & 0xFFFF
    log = high * node.int("log_2") + steps[index] - node.int("log_one")
    log += ((steps[index + 1] - steps[index]) * part) >> 16
    acc = node.int("bias") - distance.astype(np.int64) * node.int("mul") - log
    y: Array = np.clip(acc >> node.int("shift"), -128, 127).astype(np.int8)
    return y


def frac_limits(node: Node, fracs: Mapping[str, int], kind: str) -> Iterator[tuple[str, int]]:
    """The output no finer than the logarithms, which are not too fine for it."""
    unit = unit_of(fracs[node.inputs[0]], scale_of(node))
    yield node.output, unit
    yield node.inputs[0], fracs[node.inputs[0]] + fracs[node.output] + MAX_SHIFT - unit


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Kinds, shift, and that the tables are those of the input's scale."""
    x, table, steps = (qgraph.tensors[name] for name in node.inputs)
    yield from forms.kinds(node, qgraph, "s8", "s16", "s32", "s8")
    frac, scale = frac_of(x), scale_of(node)
    unit = unit_of(frac, scale)
    y = qgraph.tensors[node.output]
    shift = unit - frac_of(y)
    if not 0 <= shift <= MAX_SHIFT:
        yield f"its shift is {shift}, not in 0..{MAX_SHIFT}"
        return
    yield from forms.follows(node, {"shift": shift, "bias": half(shift) + (y.zero << shift)})
    # The last bit of exp and log may differ between machines.
    for found, wanted in ((table, exp_table(frac, scale)), (steps, logs(unit))):
        data = qgraph.data(found.name).astype(np.int64)
        if found.shape != wanted.shape or np.abs(data - wanted.astype(np.int64)).max() > 1:
            yield "its tables are not those of its input's scale"


_SCALE = real(1e-30, 1e30)
_INTEGERS: Fields = {key: whole() for key in ("mul", "log_2", "log_one", "bias", "shift")}
_SCHEMA = Schema(
    Form({"scale": optional(_SCALE)}), Form({"scale": _SCALE, **_INTEGERS}, constants=2), faults
)
OP = OpSpec(
    "log_softmax",
    ("LogSoftmax",),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(short_axis,),
    note="last axis",
    bounds=lambda node: (-math.inf, 0.0),
    classifies=True,
    scaling=Scaling.ABSORBED,
    rescaled=rescaled,
    frac_limits=frac_limits,
    along=along.but_last,
    schema=_SCHEMA,
)
