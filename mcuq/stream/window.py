"""How the tensors of a window network become rows of a stream: what is read, kept and made.

A window network reads ``total`` frames at once. Its stream makes of every tensor that has a row for
each frame, or for each few of them, only the rows that the window before did not have: the last
ones. Rows are counted as in the window, so those of two branches that are joined have the same
number, whatever their delays; a row before the first is one of an earlier window.

A row that the window network makes of padding in front is made of earlier frames here. One that it
makes of padding behind would need frames that are still to come: it is not made at all, and the
branches that it is joined with wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import gcd

from mcuq.errors import ModelError
from mcuq.ir import Graph, Node
from mcuq.ops import has_weights, is_recurrent, is_view, spec
from mcuq.ops.parts.along import MERGED
from mcuq.ops.spec import Along, Padding
from mcuq.qir import QGraph

Network = Graph | QGraph
Fill = tuple[float, ...]


@dataclass(frozen=True)
class Timed:
    """A tensor with rows of time on ``axis``.

    ``base``: the tensor of the stream that holds its ``made`` newest rows, on ``base_axis``; the
    last of them is row ``newest`` - 1. ``total``: rows in the window network, of which those before
    ``clean`` hang on padding. ``shift``: rows by which two windows are apart. ``fill``: what lies
    before the first frame, in the tensor's own numbers; None if nothing does. ``after``: nodes that
    integers alone have, to be run on the rows that are read.
    """

    base: str
    base_axis: int
    axis: int
    total: int
    newest: int
    made: int
    shift: int
    clean: int = 0
    fill: Fill | None = None
    after: tuple[Node, ...] = ()

    @property
    def end(self) -> int:
        """The rows of the window that are known."""
        return min(self.total, self.newest)


@dataclass(frozen=True)
class Read:
    """Rows ``first`` to ``last`` - 1 of a timed tensor, which a node is given."""

    tensor: Timed
    first: int
    last: int

    @property
    def depth(self) -> int:
        """How far back they reach from the newest."""
        return self.tensor.newest - self.first


@dataclass(frozen=True)
class Made:
    """A node of the stream: it reads ``reads`` in the place of its activations, by their names."""

    node: Node
    reads: dict[str, Read]
    rows: int | None


@dataclass
class StreamPlan:
    """What the stream consists of; filled node by node.

    ``front``, ``behind``: names of nodes whose padding the stream does otherwise. ``depths``: rows
    that are kept of each base, by its name and what lies before the first frame. ``windowed``: some
    node sees a whole window. ``delay``: frames by which outputs are late. ``outputs``: the rows of
    those that have any, by tensor. ``shared``: what lies before the first frame of a base for those
    readers that do not care. ``carried``: recurrent layers, whose states go on from step to step,
    ``filters``: others that do; ``lost``: frames that the rows which recurrent layers read have
    less than the window.
    """

    network: Network
    frames: int
    total: int
    timed: dict[str, Timed] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)
    depths: dict[tuple[str, Fill | None], int] = field(default_factory=dict)
    front: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    padded_behind: str = ""
    padded_front: str = ""
    delay: int = 0
    windowed: bool = False
    outputs: dict[str, Read] = field(default_factory=dict)
    shared: dict[str, Fill] = field(default_factory=dict)
    carried: list[str] = field(default_factory=list)
    filters: list[str] = field(default_factory=list)
    lost: int = 0

    def key(self, tensor: Timed) -> tuple[str, Fill | None]:
        """Where the rows of ``tensor`` are kept."""
        fill = tensor.fill if tensor.fill is not None else self.shared.get(tensor.base)
        return tensor.base, fill


class NotStreamedError(Exception):
    """A node that has no form in a stream: which, why, and what to do instead."""

    def __init__(self, node: str, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.node, self.reason, self.remedy = node, reason, remedy

    def told(self, name: str) -> ModelError:
        """The user's error, of the network ``name``."""
        return ModelError(name, f"node '{self.node}' has no stream: {self.reason}", self.remedy)


def analyze(
    network: Network, tensor: str, axis: int, frames: int, known: Sequence[str]
) -> StreamPlan:
    """The plan for ``frames`` new frames a step, which lie on ``axis`` of the input ``tensor``.

    ``known``: the nodes that the float network has, too.
    """
    total = network.tensors[tensor].shape[axis]
    plan = StreamPlan(network, frames, total)
    for port in network.inputs:
        shape = network.tensors[port.tensor].shape
        if port.tensor == tensor or (len(shape) > axis and shape[axis] == total):
            plan.timed[port.tensor] = Timed(port.tensor, axis, axis, total, total, frames, frames)
    for node in network.nodes:
        _add(plan, node, node.name in known)
    for port in network.outputs:
        if port.tensor in plan.timed:
            _use_last(plan, port.tensor)
    return plan


def _add(plan: StreamPlan, node: Node, known: bool) -> None:
    """Plan ``node``: of frames row by row, of whole windows as it is."""
    network = plan.network
    reads = [name for name in node.inputs if not network.is_constant(name)]
    timed = [name for name in reads if name in plan.timed]
    if not timed:
        plan.made.append(Made(node, {}, None))
        return
    if len(timed) < len(reads):
        reason = "it joins single frames with what is made of a whole window"
        raise NotStreamedError(node.name, reason, "Stream the part in front of it")
    found = [_along(plan, node, name) for name in timed]
    faults = [each for each in found if isinstance(each, str)]
    if faults:
        _whole(plan, node, timed, faults[0])
        return
    rules = [each for each in found if isinstance(each, Along)]
    sources = [plan.timed[name] for name in timed]
    if is_recurrent(node):
        _carry(plan, node, timed[0], rules[0])
        return
    if spec(node.op).keeps is not None:
        _keep(plan, node, timed[0])
        return
    if len(sources) == 1 and (_only_moves(rules[0]) or (not known and _is_lazy(rules[0]))):
        _alias(plan, node, sources[0], rules[0])
        return
    _row_by_row(plan, node, dict(zip(timed, zip(sources, rules, strict=True), strict=True)))


def _along(plan: StreamPlan, node: Node, name: str) -> Along | str:
    network, axis = plan.network, plan.timed[name].axis
    shapes = [network.tensors[n].shape for n in node.inputs]
    ranks = {len(network.tensors[tensor].shape) for tensor in (name, node.output)}
    for other in node.inputs:
        if network.is_constant(other) and not has_weights(node):
            shape = network.tensors[other].shape
            if ranks == {len(shape)} and shape[axis] > 1 and spec(node.op).per_channel == ():
                return "its constant differs from frame to frame"
    return spec(node.op).along(node, shapes, node.inputs.index(name), axis)


def _only_moves(rule: Along) -> bool:
    """Whether the output's rows are the input's, under other numbers."""
    return _is_lazy(rule) and rule.cut(1) is None


def _is_lazy(rule: Along) -> bool:
    """Whether each row of the output is made of one of the input, and can be when it is read."""
    return rule.span == 1 and rule.stride == 1


def _alias(plan: StreamPlan, node: Node, source: Timed, rule: Along) -> None:
    """The same rows under other numbers: a padding in front, or rows cut off at the ends.

    What integers alone have, such as a change of width, is done to the rows that are read.
    """
    cut = rule.cut(1)
    after = source.after if cut is None else (*source.after, cut)
    total = plan.network.tensors[node.output].shape[rule.axis]
    fill = _fill(plan, node) if rule.before > 0 else source.fill
    newest = source.newest + rule.before
    if rule.after > 0:
        plan.padded_behind = node.name
    if rule.before > 0:
        plan.padded_front = node.name
    clean = max(0, source.clean + rule.before)
    plan.timed[node.output] = replace(
        source, total=total, newest=newest, clean=clean, fill=fill, after=after, axis=rule.axis
    )


def _row_by_row(plan: StreamPlan, node: Node, sources: dict[str, tuple[Timed, Along]]) -> None:
    first, rule = next(iter(sources.values()))
    total = plan.network.tensors[node.output].shape[rule.axis]
    ends = [(t.end + r.before - r.span) // r.stride + 1 for t, r in sources.values()]
    end = min(total, *ends)
    if rule.after > 0 and end < total:
        plan.padded_behind = node.name
    clean = max(-(-(t.clean + r.before) // r.stride) for t, r in sources.values())
    if rule.before > 0:
        plan.padded_front = node.name
    shift, rest = divmod(first.shift, rule.stride)
    if rest and total > 1:
        raise _indivisible(plan, node, first, rule)
    rows = 1 if total == 1 else min(shift, total)
    reads = {}
    for name, (tensor, each) in sources.items():
        low = (end - rows) * each.stride - each.before
        high = (end - 1) * each.stride - each.before + each.span
        fill = _fill(plan, node) if each.before > 0 else tensor.fill
        reads[name] = _read(plan, replace(tensor, fill=fill), low, high)
    cut = rule.cut(rows)
    plan.made.append(Made(node if cut is None else cut, reads, rows))
    if total == 1:
        plan.windowed = True
        _settle(plan, node.name, clean > 0, end < total)
        plan.delay = max(plan.delay, *(_frames(plan, t) for t, _ in sources.values()))
        return
    made = Timed(node.output, rule.axis, rule.axis, total, end, rows, shift, max(0, clean))
    plan.timed[node.output] = made


def _carry(plan: StreamPlan, node: Node, name: str, rule: Along) -> None:
    """A recurrent layer: every row once, in order, from the state after the one before."""
    source = plan.timed[name]
    rows = min(source.shift, source.total)
    if isinstance(plan.network, QGraph):
        raise NotStreamedError(node.name, "its state was not made before quantization")
    plan.made.append(Made(node, {name: _read(plan, source, source.end - rows, source.end)}, rows))
    plan.carried.append(node.name)
    plan.lost = max(plan.lost, plan.total - source.total * plan.frames // source.shift)
    _settle(plan, node.name, False, source.end < source.total)
    if node.attrs["gives"] == "all":
        axis, total = rule.axis, source.total
        plan.timed[node.output] = Timed(node.output, axis, axis, total, source.end, rows,
                                        source.shift)  # fmt: skip
    else:
        plan.delay = max(plan.delay, _frames(plan, source))


def _keep(plan: StreamPlan, node: Node, name: str) -> None:
    """A filter: every row once, in order, going on from the one before."""
    source = plan.timed[name]
    rows = min(source.shift, source.total)
    plan.made.append(Made(node, {name: _read(plan, source, source.end - rows, source.end)}, rows))
    plan.filters.append(node.name)
    _settle(plan, node.name, False, source.end < source.total)
    made = replace(source, base=node.output, base_axis=source.axis, newest=source.end, made=rows)
    plan.timed[node.output] = replace(made, clean=0, fill=None, after=())


def _indivisible(plan: StreamPlan, node: Node, source: Timed, rule: Along) -> NotStreamedError:
    factor = rule.stride * source.shift // gcd(source.shift, rule.stride)
    needed = plan.frames * factor // source.shift
    reason = f"it takes every {rule.stride}th of the {source.shift} frame(s) that a step brings it"
    return NotStreamedError(node.name, reason, f"Give frames={needed}, or a multiple of it")


def _read(plan: StreamPlan, tensor: Timed, first: int, last: int) -> Read:
    """Rows of ``tensor``, which are kept as far as they reach back."""
    read = Read(tensor, first, last)
    key = plan.key(tensor)
    plan.depths[key] = max(plan.depths.get(key, tensor.made), read.depth)
    return read


def _whole(plan: StreamPlan, node: Node, timed: list[str], why: str) -> None:
    """Give ``node`` whole windows, if it begins the part of the network that sees them."""
    if len(timed) > 1 or not (is_view(node) and why == MERGED):
        remedy = "Take it out of the network, or leave the network as it is, without --stream"
        raise NotStreamedError(node.name, why, remedy)
    source = plan.timed[timed[0]]
    read = _read(plan, source, source.end - source.total, source.end)
    _settle(plan, node.name, source.clean > 0, source.end < source.total)
    plan.delay = max(plan.delay, _frames(plan, source))
    plan.windowed = True
    plan.made.append(Made(node, {timed[0]: read}, None))


def _frames(plan: StreamPlan, source: Timed) -> int:
    """The frames by which the rows that are known end before those of the window."""
    return -(-(source.total - source.end) * plan.frames // source.shift)


def _use_last(plan: StreamPlan, name: str) -> None:
    """An output: the newest rows."""
    tensor, what = plan.timed[name], f"output {name}"
    rows = min(tensor.made, tensor.total)
    plan.outputs[name] = _read(plan, tensor, tensor.end - rows, tensor.end)
    _settle(plan, what, tensor.end - rows < tensor.clean, tensor.end < tensor.total)
    plan.delay = max(plan.delay, _frames(plan, tensor))


def _settle(plan: StreamPlan, what: str, front: bool, behind: bool) -> None:
    """Note where the stream's numbers are others than the window network's."""
    if front:
        plan.front.append(plan.padded_front or what)
    if behind:
        plan.behind.append(plan.padded_behind or what)


def _fill(plan: StreamPlan, node: Node) -> Fill:
    """What a node's padding is, in the numbers of its input."""
    tensor = plan.network.tensors[node.inputs[0]]
    kind = spec(node.op).padding
    value = node.attrs.get("pad_value", node.attrs.get("value", 0.0))
    if kind is Padding.LOWEST:
        return (-128.0,) if isinstance(plan.network, QGraph) else (-1e30,)
    if kind is Padding.ZERO:
        return (float(getattr(tensor, "zero", 0)),)
    several = value if isinstance(value, (tuple, list)) else (value,)
    return tuple(float(v) for v in several)
