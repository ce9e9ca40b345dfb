"""Where the rows of a batch lie in what a node writes: a rule for each operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from mcuq.importers.standard.resolve import FAULTS, Flat
from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Array, Shape


class Mixed(Exception):
    """Why rows are no rows of a batch."""


class Across(Mixed):
    """A node that works across rows: it cannot be meant for a batch of any size."""


@dataclass(frozen=True)
class Rows:
    """Where the rows of a value lie: ``axis`` holds them, as (before, N, after) of its size."""

    axis: int
    before: int
    after: int

    @property
    def whole(self) -> bool:
        """Whether the axis holds nothing else."""
        return self.before == self.after == 1


@dataclass(frozen=True, eq=False)
class Walk:
    """The values that carry rows, ``count`` of them, and what else is known.

    ``repeated``: constants that hold the same for each row, along an axis.
    """

    flat: Flat
    count: int
    rows: dict[str, Rows]
    repeated: dict[str, tuple[int, Rows]]

    def shape(self, name: str) -> Shape:
        kind = self.flat.kinds.get(name)
        if kind is None:
            raise Mixed(f"the shape of '{name}' is not known")
        return kind.shape

    def rank(self, step: OnnxStep) -> int:
        """The number of axes of the first input."""
        return len(self.shape(step.inputs[0]))

    def constant(self, name: str) -> Array | None:
        return self.flat.constants.get(name)

    def carried(self, step: OnnxStep) -> list[tuple[int, Rows]]:
        """(index of the input, its rows) of all inputs that carry any."""
        return [(i, self.rows[n]) for i, n in enumerate(step.inputs) if n in self.rows]


Rule = Callable[[Walk, OnnxStep], Rows]


def follow(walk: Walk, step: OnnxStep) -> None:
    """Note where the rows lie in what ``step`` writes."""
    if not any(name in walk.rows for name in step.inputs):
        return
    rule = _RULES.get(step.op)
    if rule is None:
        raise Mixed(f"operator {step.op} ('{step.name}') may mix them")
    try:
        found = rule(walk, step)
        for index, name in enumerate(step.outputs):
            if name:
                walk.rows[name] = _checked(walk, _placed(step, found, index), name)
    except Mixed as error:
        raise type(error)(f"{error} ('{step.name}')") from error
    except FAULTS as error:  # a node that does not fit its operator: its handler will say so
        raise Mixed(f"operator {step.op} is not understood ('{step.name}')") from error


def _placed(step: OnnxStep, rows: Rows, index: int) -> Rows:
    """The rows of output ``index``: recurrent operators write several shapes."""
    if step.op in ("LSTM", "GRU", "RNN"):
        return replace(rows, axis=1 if index else 2)
    return rows


def _checked(walk: Walk, rows: Rows, name: str) -> Rows:
    size = walk.shape(name)[rows.axis]
    if size != rows.before * walk.count * rows.after:
        raise Mixed(f"the rows of '{name}' are not found")
    return rows


def _same(walk: Walk, step: OnnxStep) -> Rows:
    """One function of every element of the first input."""
    index, rows = walk.carried(step)[-1]
    _only_first(step, index)
    return rows


def _only_first(step: OnnxStep, index: int) -> None:
    if index:
        raise Mixed(f"a parameter of {step.op} is computed from them")


def _images(walk: Walk, step: OnnxStep) -> Rows:
    """An operator whose axis 0 is a batch by definition."""
    found = walk.carried(step)
    for index, rows in found:
        _only_first(step, index)
        if rows.axis > 1:
            raise Across(f"{step.op} takes them for places")
        if rows.axis or not rows.whole:
            raise Mixed(f"{step.op} takes them for channels")
    return found[0][1]


def _broadcast(walk: Walk, step: OnnxStep) -> Rows:
    """An operator of several values, element by element."""
    shape = walk.shape(step.outputs[0])
    found: Rows | None = None
    for name in step.inputs:
        rows = walk.rows.get(name)
        if rows is not None:
            moved = replace(rows, axis=rows.axis + len(shape) - len(walk.shape(name)))
            if found is not None and moved != found:
                raise Mixed(f"{step.op} joins different axes of them")
            found = moved
    if found is None:
        raise Mixed("nothing carries them")
    for name in step.inputs:
        if name and name not in walk.rows:
            _alike(walk, name, found, len(shape))
    return found


def _alike(walk: Walk, name: str, rows: Rows, rank: int) -> None:
    """A constant must be the same for all rows."""
    shape = walk.shape(name)
    axis = rows.axis - (rank - len(shape))
    if axis < 0 or shape[axis] == 1:
        return
    data = walk.constant(name)
    if data is None or shape[axis] != rows.before * walk.count * rows.after:
        raise Mixed(f"'{name}' is not the same for all of them")
    found = parted(data, axis, rows, walk.count)
    if not bool((found == found[:, :, :1]).all()):
        raise Mixed(f"'{name}' is not the same for all of them")
    own = (axis, replace(rows, axis=axis))
    if walk.count > 1 and walk.repeated.setdefault(name, own) != own:
        raise Mixed(f"'{name}' is read in two ways")


def parted(data: Array, axis: int, rows: Rows, count: int) -> Array:
    """``data`` as (in front, before, N, the rest)."""
    return data.reshape(prod(data.shape[:axis]), rows.before, count, -1)


def _matmul(walk: Walk, step: OnnxStep) -> Rows:
    left, right = step.inputs[:2]
    ranks = [len(walk.shape(name)) for name in (left, right)]
    rank = len(walk.shape(step.outputs[0]))
    if min(ranks) < 2:
        if left in walk.rows and ranks[0] >= 2 and walk.rows[left].axis < ranks[0] - 1:
            return walk.rows[left]
        raise Mixed("MatMul sums over them")
    found: Rows | None = None
    for name, own, last in ((left, ranks[0], ranks[0] - 1), (right, ranks[1], ranks[1] - 2)):
        rows = walk.rows.get(name)
        if rows is None:
            continue
        if rows.axis == last:
            raise Mixed("MatMul sums over them")
        moved = replace(rows, axis=rows.axis + rank - own)
        if found is not None and (moved != found or moved.axis >= rank - 2):
            raise Mixed("MatMul joins different axes of them")
        found = moved
    if found is None:
        raise Mixed("nothing carries them")
    for name in (left, right):
        if name not in walk.rows and found.axis < rank - 2:
            _alike(walk, name, found, rank)
    if found.axis >= rank - 2 and left in walk.rows and right in walk.rows:
        raise Mixed("MatMul joins different axes of them")
    return found


def _gemm(walk: Walk, step: OnnxStep) -> Rows:
    if step.inputs[0] not in walk.rows or len(walk.carried(step)) > 1:
        raise Mixed("Gemm takes them for weights")
    rows = walk.rows[step.inputs[0]]
    if rows.axis != (1 if step.attrs.get("transA", 0) else 0):
        raise Mixed("Gemm sums over them")
    found = replace(rows, axis=0)
    if len(step.inputs) > 2 and step.inputs[2]:
        _alike(walk, step.inputs[2], found, 2)
    return found


def _transpose(walk: Walk, step: OnnxStep) -> Rows:
    rows = walk.rows[step.inputs[0]]
    perm = list(step.attrs.get("perm", range(walk.rank(step))[::-1]))
    return replace(rows, axis=perm.index(rows.axis))


def _viewed(walk: Walk, step: OnnxStep) -> Rows:
    """The same elements in the same order: the axis that holds (outer, N) now."""
    rows, before = _same(walk, step), walk.shape(step.inputs[0])
    outer = prod(before[: rows.axis]) * rows.before
    return _found(walk, walk.shape(step.outputs[0]), outer)


def _squeezed(walk: Walk, step: OnnxStep) -> Rows:
    """Axes of size 1 left out."""
    rows = walk.rows[step.inputs[0]]
    axes = _axes(walk, step, 1) or ()
    if rows.axis in axes:
        raise Mixed("a view leaves them out")
    return replace(rows, axis=rows.axis - sum(a < rows.axis for a in axes))


def _unsqueezed(walk: Walk, step: OnnxStep) -> Rows:
    """Axes of size 1 put in, counted in the result."""
    rows, rank = walk.rows[step.inputs[0]], len(walk.shape(step.outputs[0]))
    given = step.attrs.get("axes")
    data = walk.constant(step.inputs[1]) if given is None else np.asarray(given)
    if data is None:
        raise Mixed("its axes are computed at run time")
    put = {int(a) % rank for a in data.reshape(-1)}
    kept = [axis for axis in range(rank) if axis not in put]
    return replace(rows, axis=kept[rows.axis])


def _found(walk: Walk, shape: Shape, outer: int) -> Rows:
    front = 1
    for axis, size in enumerate(shape):
        if outer % front == 0 and size % ((outer // front) * walk.count) == 0:
            own = outer // front
            after = size // (own * walk.count)
            if walk.count > 1 or (own == 1 and after == 1):
                return Rows(axis, own, after)
        front *= size
    raise Mixed("a view cuts them")


def _axis(step: OnnxStep, rank: int, default: int) -> int:
    return int(step.attrs.get("axis", default)) % rank


def _along(default: int) -> Rule:
    """An operator that works along one axis."""

    def rule(walk: Walk, step: OnnxStep) -> Rows:
        rows = walk.rows[step.inputs[0]]
        if _axis(step, walk.rank(step), default) == rows.axis:
            raise Across(f"{step.op} works across them")
        return rows

    return rule


def _arg(walk: Walk, step: OnnxStep) -> Rows:
    rows = _along(0)(walk, step)
    axis = _axis(step, walk.rank(step), 0)
    gone = not step.attrs.get("keepdims", 1) and axis < rows.axis
    return replace(rows, axis=rows.axis - gone)


def _concat(walk: Walk, step: OnnxStep) -> Rows:
    rank = len(walk.shape(step.outputs[0]))
    found = {walk.rows[name] for name in step.inputs if name in walk.rows}
    rows = next(iter(found))
    if len(found) > 1 or rows.axis == _axis(step, rank, 0):
        raise Across("Concat joins them")
    for name in step.inputs:
        if name not in walk.rows:
            if walk.shape(name)[rows.axis] != walk.shape(step.outputs[0])[rows.axis]:
                raise Across("Concat joins them")
            _alike(walk, name, rows, rank)
    return rows


def _axes(walk: Walk, step: OnnxStep, index: int) -> tuple[int, ...] | None:
    """The axes of a reduction, counted from the front; None: all."""
    given = step.attrs.get("axes")
    if given is None and len(step.inputs) > index and step.inputs[index]:
        given = walk.constant(step.inputs[index])
        if given is None:
            raise Mixed("its axes are computed at run time")
    if given is None or not np.asarray(given).size:
        return None
    return tuple(int(a) % walk.rank(step) for a in np.asarray(given).reshape(-1))


def _reduced(walk: Walk, step: OnnxStep) -> Rows:
    rows = walk.rows[step.inputs[0]]
    axes = _axes(walk, step, 1)
    if axes is None and step.attrs.get("noop_with_empty_axes", 0):
        return rows
    if axes is None or rows.axis in axes:
        raise Across(f"{step.op} is over them")
    gone = 0 if step.attrs.get("keepdims", 1) else sum(a < rows.axis for a in axes)
    return replace(rows, axis=rows.axis - gone)


def _layer_norm(walk: Walk, step: OnnxStep) -> Rows:
    rows = _same(walk, step)
    if rows.axis >= _axis(step, walk.rank(step), -1):
        raise Across(f"{step.op} works across them")
    return rows


def _untouched(walk: Walk, step: OnnxStep) -> Rows:
    """An operator that moves along other axes: it leaves their number and their order."""
    rows = _same(walk, step)
    touched = _TOUCHED[step.op](walk, step)
    if touched is None or rows.axis in touched:
        raise Mixed(f"{step.op} moves them")
    return rows


def _sliced(walk: Walk, step: OnnxStep) -> tuple[int, ...] | None:
    axes = walk.constant(step.inputs[3]) if len(step.inputs) > 3 and step.inputs[3] else None
    count, rank = walk.shape(step.inputs[1])[0], walk.rank(step)
    return tuple(int(a) % rank for a in (range(count) if axes is None else axes.reshape(-1)))


def _split(walk: Walk, step: OnnxStep) -> tuple[int, ...] | None:
    return (_axis(step, walk.rank(step), 0),)


def _resized(walk: Walk, step: OnnxStep) -> tuple[int, ...] | None:
    """The axes whose size changes."""
    before, after = walk.shape(step.inputs[0]), walk.shape(step.outputs[0])
    if len(before) != len(after):
        return None
    return tuple(a for a, (s, t) in enumerate(zip(before, after, strict=True)) if s != t)


def _padded(walk: Walk, step: OnnxStep) -> tuple[int, ...] | None:
    pads = walk.constant(step.inputs[1])
    if pads is None:
        return None
    axes = _axes(walk, step, 3) or range(walk.rank(step))
    return tuple(a for a, pair in zip(axes, pads.reshape(2, -1).T, strict=True) if pair.any())


_TOUCHED: dict[str, Callable[[Walk, OnnxStep], tuple[int, ...] | None]] = {
    "Slice": _sliced, "Split": _split, "Expand": _resized, "Tile": _resized, "Pad": _padded,
    "Resize": _resized, "CumSum": lambda walk, step: None,
}  # fmt: skip


def _gather(walk: Walk, step: OnnxStep) -> Rows:
    if walk.constant(step.inputs[0]) is not None:
        axis = _axis(step, walk.rank(step), 0)
        rows = walk.rows[step.inputs[1]]
        return replace(rows, axis=rows.axis + axis)
    if step.inputs[0] not in walk.rows or walk.constant(step.inputs[1]) is None:
        raise Mixed("Gather picks by them")
    rows = walk.rows[step.inputs[0]]
    axis = _axis(step, walk.rank(step), 0)
    if axis == rows.axis:
        raise Mixed("Gather picks among them")
    moved = len(walk.shape(step.inputs[1])) - 1 if axis < rows.axis else 0
    return replace(rows, axis=rows.axis + moved)


def _recurrent(walk: Walk, step: OnnxStep) -> Rows:
    """LSTM, GRU and RNN: the batch is axis 1 of (time, batch, data)."""
    if step.attrs.get("layout", 0) or [i for i, _ in walk.carried(step) if i]:
        raise Mixed(f"{step.op} has a state that is computed from them")
    rows = walk.rows[step.inputs[0]]
    if rows.axis != 1:
        raise Across(f"{step.op} takes them for time")
    for name in step.inputs[5:7]:
        if name:
            _alike(walk, name, rows, 3)
    if len(step.inputs) > 4 and step.inputs[4]:
        _alike(walk, step.inputs[4], replace(rows, axis=0), 1)
    return rows


def _pairs(walk: Walk, step: OnnxStep) -> Rows:
    rows = _same(walk, step)
    several = any(walk.shape(name) not in ((), (1,)) for name in step.inputs[1:] if name)
    if several and int(step.attrs.get("axis", 1)) % walk.rank(step) == rows.axis:
        raise Mixed(f"{step.op} has a scale for each of them")
    return rows


_RULES: dict[str, Rule] = {
    **dict.fromkeys(
        """
        Abs Acos Acosh Asin Asinh Atan Atanh Cast Ceil Celu Clip Cos Cosh Dropout Elu Erf Exp Floor
        Gelu HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu
        Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh
        ThresholdedRelu
        """.split(),
        _same,
    ),
    **dict.fromkeys(
        """
        Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or PRelu Pow
        Sub Sum Where Xor
        """.split(),
        _broadcast,
    ),
    **dict.fromkeys(
        """
        AveragePool BatchNormalization Conv ConvTranspose DepthToSpace GlobalAveragePool
        GlobalLpPool GlobalMaxPool GroupNormalization InstanceNormalization LRN LpPool MaxPool
        SpaceToDepth
        """.split(),
        _images,
    ),
    **dict.fromkeys(("Flatten", "Reshape"), _viewed),
    "Squeeze": _squeezed,
    "Unsqueeze": _unsqueezed,
    **dict.fromkeys("Slice Split Expand Tile Pad Resize".split(), _untouched),
    **dict.fromkeys(
        """
        ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
        ReduceSum ReduceSumSquare
        """.split(),
        _reduced,
    ),
    **dict.fromkeys("Softmax LogSoftmax Hardmax LpNormalization TopK".split(), _along(-1)),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _layer_norm),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _pairs),
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Transpose": _transpose,
    "Concat": _concat,
    "Gather": _gather,
}
