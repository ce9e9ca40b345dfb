"""A quantized model's own grids, kept whatever their scales: its integers are those of the model.

An activation is carried in units of its given scale, and a layer's weights are the integers that
the model gives. The layer's sums are then a factor per channel away from the units of its output,
which no shift gives: they keep 16 bits, and a product by constants takes them to the grid.

    conv2d s8 -> s8      becomes      conv2d -> sums s16 -> mul by (C,) -> s8

Functions of one value are tables between the two grids, exactly. What else comes in other units
than it goes on in is multiplied as well. Sums and product err by a hundredth of a step or so: where
that turns a rounding, an integer is one off. The price is 16 bits around layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from mcuq.errors import ModelError
from mcuq.fixed import floor_log2
from mcuq.ir import Array, Graph, Hint, Node, Port, Tensor, unique_name
from mcuq.ops import clip, has_weights, layout_of, spec
from mcuq.ops.parts.weights import along
from mcuq.ops.spec import NO_CLIP, Bounds, Scaling, fused_clip
from mcuq.quantize.given import FRAC_MAX, FRAC_MIN
from mcuq.quantize.ranges import from_hints, scales

Carried = Callable[[Node, float, float, float], Node]
SAME = 1e-6
"""Scales that differ by a smaller share are one: float32 holds them no better."""

SILENT = 2.0**-5
"""A channel that moves its output by less of a step than this, whatever comes in, is its bias."""


@dataclass(frozen=True)
class Grids:
    """``graph`` computes what the model does; its numbers are all given, as powers of two.

    ``units``: what 1 of an activation stands for. ``gains``: (C,) by which the sums of a layer are
    multiplied, by its name.
    """

    graph: Graph
    units: Mapping[str, float]
    gains: Mapping[str, Array]


def keep_grids(graph: Graph) -> Grids:
    """``graph`` with every activation on the grid that its hint gives.

    Raises ``ModelError`` for the first thing that has no grid, or whose operator leaves it.
    """
    if not graph.hints:
        raise _refused(graph, "it is no quantized model")
    if graph.stream is not None:
        raise _refused(graph, "it is a stream")
    spans = from_hints.ranges(graph, scales.dictated(graph))
    if spans is None:
        raise _refused(graph, "not every activation has a scale, or follows from some")
    writer = _Writer(graph, spans)
    for port in graph.inputs:
        writer.input(port)
    for node in graph.nodes:
        writer.node(node)
    return writer.made()


def _refused(graph: Graph, reason: str) -> ModelError:
    return ModelError(graph.name, f"its grids cannot be kept: {reason}", "Leave out grids = 'kept'")


class _Writer:
    """The new graph as far as it is written.

    ``offsets``: what is added to activations. Behind layers that puts 0 into the middle of their
    integers: sums of 16 bits then have one bit more behind the point.
    """

    def __init__(self, graph: Graph, spans: Mapping[str, from_hints.Span]) -> None:
        self.graph, self.spans = graph, spans
        self.dictated = scales.dictated(graph)
        self.ports: list[Port] = []
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = dict(graph.tensors)
        self.hints: dict[str, Hint] = {}
        self.units: dict[str, float] = {}
        self.offsets: dict[str, int] = {}
        self.gains: dict[str, Array] = {}
        self._copies: dict[tuple[str, float, Hint], str] = {}

    def made(self) -> Grids:
        graph = replace(
            self.graph,
            inputs=tuple(self.ports),
            outputs=tuple(map(self._output, self.graph.outputs)),
            nodes=tuple(self.nodes),
            tensors=self.tensors,
            hints=self.hints,
        )
        return Grids(graph, self.units, self.gains)

    def input(self, port: Port) -> None:
        """A port whose conversion is that of the model; one that has its own stays."""
        if port.kind == "s8" and not port.scale:
            grid = self._grid(port.tensor)
            if grid is None or grid.bits != 8 or self.graph.is_output(port.tensor):
                raise _refused(self.graph, f"input '{port.name}' has no scale of 8 bits")
            port = replace(port, scale=grid.scale, offset=(float(grid.zero),))
            self.units[port.tensor] = grid.scale[0]
            self.offsets[port.tensor] = grid.zero + 128
        self.ports.append(port)

    def _output(self, port: Port) -> Port:
        """``port`` with the conversion of what has an offset; others follow from their numbers."""
        if port.tensor not in self.offsets:
            return port
        return replace(
            port, scale=(self._unit(port.tensor),), offset=(float(self.offsets[port.tensor]),)
        )

    def node(self, node: Node) -> None:
        """``node`` in the new units."""
        op, grid = spec(node.op), self._grid(node.output)
        if has_weights(node):
            self._layer(node, grid)
        elif op.carried is not None and grid is not None:
            self._function(node, grid, op.carried)
        elif op.scaling in (Scaling.CHANNELS, Scaling.TENSOR) and (grid or op.keeps_scale):
            self._proportional(node, grid)
        else:
            self._real(node)

    def _grid(self, name: str) -> Hint | None:
        """The numbers that the model gives an activation, if one scale says them."""
        hint = self.graph.hints.get(name)
        if hint is None or len(hint.scale) != 1 or name in self.dictated:
            return None
        if hint.bits > 8:
            return None if hint.zero else replace(hint, bits=16)
        return replace(hint, bits=8)

    def _unit(self, name: str) -> float:
        return self.units.get(name, 1.0)

    def _layer(self, node: Node, grid: Hint | None) -> None:
        """The sums of the model's integers, and the product that brings them onto the grid."""
        source, w, _ = node.inputs
        unit = grid.scale[0] if grid else 1.0
        own = replace(grid, scale=(1.0,)) if grid else _fitting(self.spans[node.output])
        offset = own.zero if self._folds(node.output) else 0
        own = replace(own, zero=own.zero - offset)
        steps, integers = self._integers(node, w)
        gains = self._unit(source) * steps / unit
        others = tuple(i for i in range(integers.ndim) if i != layout_of(node).outputs)
        silent = 255 * np.abs(integers).sum(axis=others) * gains < SILENT * own.scale[0]
        fracs = np.where(silent, 0, 1 - np.frexp(gains)[1])
        if fracs.min() < FRAC_MIN or fracs.max() > FRAC_MAX:
            raise _refused(self.graph, f"the scales around '{node.name}' are too far apart")
        integers = integers * ~along(silent, layout_of(node).outputs, integers.ndim)
        self.gains[node.name] = gains * 2.0**fracs
        gains = np.where(silent, 1.0, gains * 2.0**fracs)
        shifts = bool(np.all(gains == 1.0))
        # The product is rounded to its last bit first: half up of half up goes up too often.
        lean = 0.0 if shifts or own.bits > 8 else _wide(own).scale[0] / 2
        made = self._with_steps(node, integers, fracs, (unit, gains, offset - lean))
        low, high = clip.scaled(fused_clip(node), np.array([1 / unit]))
        limits = low + offset, high + offset
        if offset:
            self.offsets[node.output] = offset
        if shifts:
            self._emit(made.with_attrs(clip=limits), node.output, own, unit)
            return
        sums = self._middle(made.with_attrs(clip=NO_CLIP), "sums", _wide(own), unit)
        self._times(sums, gains, (node.output, own, unit), limits)

    def _folds(self, name: str) -> bool:
        """Whether all who read an activation take an offset back at no cost."""
        readers = self.graph.consumers(name)
        return all(
            (has_weights(n) and n.inputs[0] == name)
            or (spec(n.op).carried is not None and self._grid(n.output) is not None)
            for n in readers
        )

    def _integers(self, node: Node, name: str) -> tuple[Array, Array]:
        """(C,) the steps of the weights, and the integers that the model gives them."""
        hint, data = self.graph.hints.get(name), self.graph.data(name).astype(np.float64)
        axis = layout_of(node).outputs
        if hint is None or len(hint.scale) not in (1, data.shape[axis]):
            raise _refused(self.graph, f"the weights of '{node.name}' have no scale")
        steps = np.broadcast_to(np.array(hint.scale, np.float64), data.shape[axis])
        reals = data / along(steps, axis, data.ndim)
        integers = np.round(reals)
        if np.abs(integers - reals).max() > 1e-3 or np.abs(integers + 0.5).max() > 127.5:
            raise _refused(self.graph, f"the weights of '{node.name}' are not integers of 8 bits")
        return steps, integers

    def _with_steps(
        self, node: Node, integers: Array, fracs: Array, target: tuple[float, Array, float]
    ) -> Node:
        """``node`` with weights ``integers * 2**-fracs``; ``target``: what 1 of its output stands
        for, by what its sums are still multiplied, and what is added to it.
        """
        source, w, b = node.inputs
        axis = layout_of(node).outputs
        scale = 2.0 ** -fracs.astype(np.float64)
        weights = integers * along(scale, axis, integers.ndim)
        others = tuple(i for i in range(weights.ndim) if i != axis)
        offset, unit = self.offsets.get(source, 0), self._unit(source)
        real, gains, added = target
        bias = (self.graph.data(b).astype(np.float64) / real + added) / gains
        bias = bias - offset * weights.sum(axis=others)
        names = self._constant(f"{w}.steps", weights), self._constant(f"{b}.steps", bias)
        self.hints[names[0]] = Hint(tuple(scale.tolist()))
        node = replace(node, inputs=(source, *names))
        if "pad_value" not in node.attrs:
            return node
        return node.with_attrs(pad_value=tuple(v / unit + offset for v in node.attrs["pad_value"]))

    def _function(self, node: Node, grid: Hint, carried: Carried) -> None:
        """A table, which holds what the model rounds to for every integer."""
        source = node.inputs[0]
        made = carried(node, self._unit(source), grid.scale[0], self.offsets.get(source, 0))
        self._emit(made, node.output, replace(grid, scale=(1.0,)), grid.scale[0])

    def _proportional(self, node: Node, grid: Hint | None) -> None:
        """An operator that passes factors on: in the units of its input, or of its output."""
        names = [n for n in dict.fromkeys(node.inputs) if not self.graph.is_constant(n)]
        first = self._centred(names[0])
        own, unit = self.hints.get(first), self._unit(first)
        if grid is not None:
            own, unit = replace(grid, scale=(1.0,)), grid.scale[0]
        if own is None:
            raise _refused(self.graph, f"'{first}' has no scale")
        if len(names) == 1:
            self._one(node, first, own, unit)
            return
        wanted = own if spec(node.op).keeps_scale else None
        known = {name: self._in_units(name, unit, wanted) for name in names}
        self._emit(self._scaled(node, known, unit), node.output, own, unit)

    def _one(self, node: Node, source: str, own: Hint, unit: float) -> None:
        """What is made of one input, brought onto the grid of the output."""
        keeps = spec(node.op).keeps_scale
        before, have = self._unit(source), self.hints[source]
        made = self._scaled(node, {node.inputs[0]: source}, before)
        if math.isclose(before, unit, rel_tol=SAME) and (have == own or not keeps):
            self._emit(made, node.output, own, unit)
            return
        name = self._middle(made, "moved", have if keeps else _wide(have), before)
        self._times(name, np.array([before / unit]), (node.output, own, unit), NO_CLIP)

    def _real(self, node: Node) -> None:
        """Any other operator: it computes with reals of 16 bits."""
        op, grid = spec(node.op), self.graph.hints.get(node.output)
        if op.inside is not None or op.sections is not None or not (op.runs_s16 or op.narrows):
            raise _refused(self.graph, f"{node.op} ('{node.name}') computes with 8 bits of its own")
        names = [n for n in dict.fromkeys(node.inputs) if not self.graph.is_constant(n)]
        known = {name: self._in_units(name, 1.0, None) for name in names}
        made = replace(node, inputs=tuple(known.get(name, name) for name in node.inputs))
        fixed = self.dictated.get(node.output)
        own = None if fixed else _fitting(self.spans[node.output])
        if grid is None or len(grid.scale) != 1 or (fixed and _is(grid, fixed)):
            self._emit(made, node.output, own, 1.0)
            return
        unit = grid.scale[0]
        name = self._middle(made, "real", own, 1.0)
        target = node.output, Hint((1.0,), grid.zero), unit
        self._times(name, np.array([1 / unit]), target, NO_CLIP)

    def _centred(self, name: str) -> str:
        """An input without its offset, for those who cannot fold it: the same integers."""
        offset = self.offsets.get(name)
        if offset is None:
            return name
        return self._copy(name, "sub", float(offset), (Hint((1.0,), offset - 128), 1.0))

    def _in_units(self, name: str, unit: float, own: Hint | None) -> str:
        """An activation in other units: with the numbers ``own``, or in 16 bits."""
        name = self._centred(name)
        ratio, have = self._unit(name) / unit, self.hints.get(name)
        # An operator dictates the numbers of what has none.
        if have is None or (math.isclose(ratio, 1.0, rel_tol=SAME) and own in (None, have)):
            return name
        low, high = from_hints.held(have)
        numbers = own or _fitting((low * ratio, high * ratio))
        return self._copy(name, "mul", ratio, (numbers, ratio))

    def _copy(self, name: str, op: str, operand: float, numbers: tuple[Hint, float]) -> str:
        """``name`` with a scalar taken away or multiplied, once for all readers."""
        own, ratio = numbers
        key = (name, operand, own)
        if key not in self._copies:
            shape = self.tensors[name].shape
            made = unique_name(self.tensors, f"{name}.units")
            self.tensors[made] = Tensor(made, shape)
            constant = self._constant(f"{made}.by", np.full((1,) * len(shape), operand))
            node = Node(op, made, (name, constant), (made,), {"clip": NO_CLIP})
            self._copies[key] = self._emit(node, made, own, self._unit(name) / ratio)
        return self._copies[key]

    def _times(
        self, source: str, gains: Array, target: tuple[str, Hint, float], limits: Bounds
    ) -> None:
        """``source`` times one constant, or one per channel: the ``target``, its numbers, unit."""
        name, own, unit = target
        shape = (1,) * (len(self.tensors[source].shape) - 1) + (-1,)
        constant = self._constant(f"{name}.gain", gains.reshape(shape))
        node = Node("mul", f"{name}.gain", (source, constant), (name,), {"clip": limits})
        self._emit(node, name, own, unit)

    def _scaled(self, node: Node, known: Mapping[str, str], unit: float) -> Node:
        """``node`` reading what is ``known`` in units; constants and limits in them as well."""
        names = []
        for name in node.inputs:
            if self.graph.is_constant(name):
                name = self._constant(f"{name}.units", self.graph.data(name) / unit)
            names.append(known.get(name, name))
        made, factor = replace(node, inputs=tuple(names)), np.array([1 / unit])
        if "clip" in node.attrs:
            made = made.with_attrs(clip=clip.scaled(fused_clip(node), factor))
        return spec(node.op).rescaled(made, factor)

    def _constant(self, wanted: str, data: Array) -> str:
        name = unique_name(self.tensors, wanted)
        self.tensors[name] = Tensor(name, data.shape, data.astype(np.float32))
        return name

    def _middle(self, node: Node, what: str, own: Hint | None, unit: float) -> str:
        """Append ``node``, which writes a tensor of its own on the way to its output."""
        name = unique_name(self.tensors, f"{node.output}.{what}")
        self.tensors[name] = Tensor(name, self.graph.shape(node.output))
        return self._emit(node, name, own, unit)

    def _emit(self, node: Node, name: str, own: Hint | None, unit: float) -> str:
        """Append ``node``, which writes ``name`` with the numbers ``own``."""
        if own is not None:
            self.hints[name] = own
        self.units[name] = unit
        self.nodes.append(replace(node, outputs=(name,)))
        return name


def _wide(own: Hint) -> Hint:
    """16 bits that hold what ``own`` holds, as finely as they can."""
    if own.bits > 8:
        return own
    return Hint((own.scale[0] * 2.0 ** -(7 if own.zero else 8),), 0, 16)


def _fitting(span: from_hints.Span) -> Hint:
    """16 bits that hold ``span``."""
    peak = max(abs(bound) for bound in span)
    frac = floor_log2(32767 / peak) if peak > 0 else FRAC_MAX
    return Hint((2.0 ** -min(max(frac, FRAC_MIN), FRAC_MAX),), 0, 16)


def _is(grid: Hint, fixed: tuple[str, int, int]) -> bool:
    """Whether an operator dictates just what the model gives."""
    return (grid.scale[0], grid.zero) == (2.0 ** -fixed[1], fixed[2])
