"""Makes a flat list of standard nodes of a model, with every shape known and constants computed.

Functions, ``If`` and ``Loop`` are written out where their conditions are known; old and foreign
operators become today's standard ones; what depends on constants and shapes alone is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import onnx

from mcuq import capacity
from mcuq.errors import McuqError, ModelError
from mcuq.importers.nodes.builder import Refused
from mcuq.importers.onnx_file import OnnxModel, to_array
from mcuq.importers.standard import foreign, old_opsets
from mcuq.importers.standard.folding import fold, foldable
from mcuq.importers.standard.grids import KEEPS_GRID, grid_of
from mcuq.importers.standard.modern import LAST_OLD, MODERN, Kind, Old
from mcuq.importers.standard.shapes import infer
from mcuq.importers.standard.steps import (
    PAIRS,
    OnnxStep,
    constant_of,
    label,
    make_step,
    needed,
    node_error,
    reads,
    sorted_nodes,
    subgraphs,
    unsorted_faults,
    wanted_nodes,
)
from mcuq.importers.suggestions import foreign_remedy, remedy_for
from mcuq.ir import Array, Hint, Shape, unique_name

MAX_NODES = 10_000
"""More than this, written out, is no network for a microcontroller."""
MAX_DEPTH = 64
"""Subgraphs and functions inside each other."""
FAULTS = (ValueError, IndexError, TypeError, ArithmeticError, KeyError, AttributeError)
ENDLESS = 1 << 62
_CONTROL = "Export the model without control flow"
_STATIC = "Quantize the model again with a scale for each tensor (QDQ format)"
_STANDARD = ("", "ai.onnx")


class TooLarge(Exception):
    """Why the whole model is given up, and what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.remedy = remedy


@dataclass(frozen=True, eq=False)
class Flat:
    """``steps`` in order, without subgraphs; ``kinds`` of all values whose shapes are known.

    ``roots``: the outputs, and what nodes at fault read, so that nothing behind these is hidden.
    """

    steps: tuple[OnnxStep, ...]
    constants: dict[str, Array]
    kinds: dict[str, Kind]
    grids: dict[str, Hint]
    faults: list[McuqError]
    roots: frozenset[str]


@dataclass(frozen=True, eq=False)
class Scope:
    """What names mean inside a graph or function: ``names`` maps its own to the network's.

    ``depth``: how many graphs and functions it lies in.
    """

    opset: int
    prefix: str = ""
    outer: Scope | None = None
    names: dict[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    depth: int = 0

    def inside(self, prefix: str) -> Scope:
        """The scope of a subgraph, which sees what is outside."""
        return Scope(self.opset, prefix, self, {}, self.attributes, self._deeper())

    def called(self, prefix: str, opset: int, attributes: Mapping[str, Any]) -> Scope:
        """The scope of a function, which sees nothing but its inputs."""
        return Scope(opset or self.opset, prefix, None, {}, attributes, self._deeper())

    def _deeper(self) -> int:
        if self.depth == MAX_DEPTH:
            reason = f"lies in more than {MAX_DEPTH} graphs and functions, or in itself"
            raise Refused(reason, _CONTROL)
        return self.depth + 1

    def name(self, local: str) -> str:
        """The network's name of what the graph calls ``local``."""
        if local in self.names:
            return self.names[local]
        return local if self.outer is None else self.outer.name(local)


def resolve(model: OnnxModel, shapes: Mapping[str, Shape], symbolic: bool) -> Flat:
    """The model's steps for inputs of ``shapes``; ``symbolic``: axis 0 of an input is a batch of 1
    that the file leaves open.
    """
    made = _Resolver(model, symbolic)
    for given in model.inputs:
        made.kinds[given.name] = Kind(given.element, shapes[given.name])
    nodes = wanted_nodes(model.nodes, model.outputs)
    ordered, cyclic = sorted_nodes(nodes)
    known = {given.name for given in model.inputs} | set(model.constants)
    made.faults += unsorted_faults(ordered, cyclic, known, model.name)
    written = known.union(*(node.output for node in nodes))
    for name in model.outputs:
        if name not in written:
            made.faults.append(ModelError(model.name, f"output '{name}' is never written", ""))
    try:
        made.nodes(ordered, Scope(model.opset))
    except TooLarge as error:
        made.faults.append(ModelError(model.name, str(error), error.remedy))
    roots = frozenset(model.outputs) | made.read_by_faults
    kept = needed(made.steps, roots)
    made.faults += _misread(made, kept)
    return Flat(tuple(kept), made.constants, made.kinds, made.grids, made.faults, roots)


class _Resolver:
    """The steps, constants and kinds found so far."""

    def __init__(self, model: OnnxModel, symbolic: bool) -> None:
        self.model, self.symbolic = model, symbolic
        self.steps: list[OnnxStep] = []
        self.constants: dict[str, Array] = dict(model.constants)
        self.kinds = {n: Kind.of(array) for n, array in model.constants.items()}
        self.grids: dict[str, Hint] = {}
        self.makers: dict[str, OnnxStep] = {}
        self.faults: list[McuqError] = []
        self.unrounded: set[str] = set()
        self.read_by_faults: set[str] = set()
        self._lost: set[str] = set()
        self._unknown: set[str] = set()
        self._taken = set(self.kinds) | {n for node in model.nodes for n in node.output}
        self._taken.update(given.name for given in model.inputs)
        self._nodes = self._folded = 0

    def nodes(self, nodes: Sequence[Any], scope: Scope) -> None:
        """Resolve nodes that are in order."""
        for node in nodes:
            bound = self._bound(node, scope)
            try:
                self._count()
                _check_node(node, scope)
                self._node(bound, node, scope)
            except Refused as error:
                self._fault(bound, error.reason, error.remedy)
            except FAULTS as error:
                reason = f"its inputs or attributes do not fit operator {node.op_type} ({error})"
                self._fault(bound, reason, "Check it with onnx.checker")

    def define(self, local: str, scope: Scope) -> str:
        """A new name of the network for what ``scope`` calls ``local``."""
        name = f"{scope.prefix}{local}"
        if scope.prefix:
            name = unique_name(self._taken, name)
        self._taken.add(name)
        if local:
            scope.names[local] = name
        return name

    def constant(self, name: str, data: Array) -> str:
        self.constants[name] = data
        self.kinds[name] = Kind.of(data)
        return name

    def _fault(self, node: Any, reason: str, remedy: str) -> None:
        self.faults.append(node_error(self.model.name, label(node), reason, remedy))
        self.read_by_faults.update(n for n in node.input if n)
        self._lost.update(o for o in node.output if o)

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            reason = f"has more than {MAX_NODES} nodes, functions and loops written out"
            raise TooLarge(reason, "Use a smaller network")

    def _node(self, bound: Any, node: Any, scope: Scope) -> None:
        function = self.model.functions.get((node.domain, node.op_type))
        if self._lost.intersection(bound.input):
            self._follow(bound)
        elif function is not None:
            self._function(bound, node, function, scope)
        elif node.op_type == "If":
            self._if(bound, node, scope)
        elif node.op_type == "Loop":
            self._loop(bound, node, scope)
        elif node.op_type == "Scan":
            self._scan(bound, node, scope)
        else:
            self._plain(bound, scope.opset)

    def _bound(self, node: Any, scope: Scope) -> Any:
        """A copy of ``node`` with the network's names, and the attributes of its function."""
        bound = onnx.NodeProto()
        bound.CopyFrom(node)
        del bound.input[:], bound.output[:], bound.attribute[:]
        bound.name = f"{scope.prefix}{node.name}" if node.name else ""
        bound.input.extend(scope.name(name) for name in node.input)
        bound.output.extend(self.define(name, scope) if name else "" for name in node.output)
        for attribute in node.attribute:
            source = attribute
            if attribute.ref_attr_name:
                source = scope.attributes.get(attribute.ref_attr_name)
            if source is not None:
                copied = bound.attribute.add()
                copied.CopyFrom(source)
                copied.name = attribute.name
        return bound

    def _follow(self, node: Any) -> None:
        """A node that reads the result of one at fault: kept, so that it can be judged, too.

        What computes with an unknown shape alone is not: the cause is known.
        """
        outputs = {o for o in node.output if o}
        lost = self._lost.intersection(node.input)
        if node.op_type in ("Shape", "Size") or lost <= self._unknown:
            self._unknown |= outputs
        elif node.domain in _STANDARD and not any(subgraphs(node)):
            self._append(make_step(node, max(LAST_OLD, self.model.opset)))
        self._lost |= outputs

    def _append(self, step: OnnxStep) -> None:
        self.steps.append(step)
        self.makers.update((name, step) for name in step.outputs if name)
        if step.op in KEEPS_GRID and self.unrounded.intersection(step.inputs):
            self.unrounded.add(step.outputs[0])

    def _plain(self, node: Any, opset: int, depth: int = 0) -> None:
        """A node without subgraphs: rewritten, computed, or one more step."""
        if depth > 8:
            raise Refused(f"operator {node.op_type} is not understood")
        old = Old(
            node, opset, self.constants, self.kinds, self.makers, self.unrounded, self.symbolic,
            self._new,
        )  # fmt: skip
        for rewrite, version in ((foreign.standard, MODERN), (old_opsets.modern, LAST_OLD)):
            parts = rewrite(old)
            if parts is not None:
                if node.op_type == "DynamicQuantizeLinear":
                    self.unrounded.add(node.output[0])
                for part in parts:
                    self._count()
                    self._plain(part, max(opset, version), depth + 1)
                return
        if node.domain not in _STANDARD and node.op_type not in PAIRS:
            reason = f"operator {node.op_type} of the domain '{node.domain}' is not standard ONNX"
            raise Refused(reason, foreign_remedy(node.domain, node.op_type))
        self._standard(node, max(opset, LAST_OLD))

    def _standard(self, node: Any, opset: int) -> None:
        step = make_step(node, opset)
        if step.op == "Constant":
            self._keep(step.outputs[0], constant_of(step, self.model.name, self.model.folder))
            return
        kind = self.kinds.get(step.inputs[0]) if step.inputs else None
        if step.op in ("Shape", "Size") and kind is not None:
            self._keep(step.outputs[0], _shape_of(step, kind.shape))
            return
        found = infer(step, self.constants, self.kinds)
        if all(not n or n in self.constants for n in step.inputs) and foldable(step.op):
            self._fold(step, found)
            return
        self.kinds.update(found)
        self._append(step)

    def _fold(self, step: OnnxStep, found: Mapping[str, Kind]) -> None:
        arrays = [self.constants[n] if n else None for n in step.inputs]
        sizes = [found[n].shape for n in step.outputs if n in found]
        try:
            results = fold(step.proto, arrays, step.opset, sizes)
        except Refused as error:
            self._fault(step.proto, error.reason, error.remedy)
            return
        grid = grid_of(step, self.constants, self.grids)
        self.grids.update({} if grid is None else {step.outputs[0]: grid})
        for name, data in zip((o for o in step.outputs if o), results, strict=False):
            self._keep(name, data)

    def _keep(self, name: str, data: Array) -> None:
        reason = capacity.excess((data.size,), self._folded)
        if reason:
            raise TooLarge(reason, capacity.remedy())
        self._folded += data.size
        self.constant(name, data)

    def _new(self, node: Any, part: str) -> str:
        """A new name for a part of what replaces ``node``."""
        first = next((o for o in node.output if o), label(node))
        name = unique_name(self._taken, f"{first}.{part}")
        self._taken.add(name)
        return name

    def _function(self, bound: Any, node: Any, function: Any, scope: Scope) -> None:
        opset = next((o.version for o in function.opset_import if o.domain in _STANDARD), 0)
        given = {a.name: a for a in function.attribute_proto}
        given.update((a.name, a) for a in bound.attribute)
        inner = scope.called(f"{label(bound)}/", int(opset), given)
        made = {*function.input, *(name for part in function.node for name in part.output)}
        read = set(function.output).union(*(reads(part) for part in function.node))
        if read - made:
            raise Refused(f"function {function.name} reads what nothing in it writes")
        inner.names.update(dict.fromkeys(function.input, ""))
        inner.names.update(zip(function.input, bound.input, strict=False))
        self._body(function.node, function.output, inner)
        self._alias(bound, [inner.name(name) for name in function.output])

    def _body(self, nodes: Sequence[Any], outputs: Sequence[str], inner: Scope) -> None:
        ordered, cyclic = sorted_nodes(wanted_nodes(nodes, outputs))
        if cyclic:
            raise Refused("holds a cycle of nodes", "Export the model again")
        self.nodes(ordered, inner)

    def _graph(self, graph: Any, inner: Scope) -> list[str]:
        """Write out a subgraph; the network's names of its outputs."""
        for tensor in graph.initializer:
            name = self.define(tensor.name, inner)
            self.constant(name, to_array(tensor, self.model.name, self.model.folder))
        outputs = [info.name for info in graph.output]
        self._body(graph.node, outputs, inner)
        return [inner.name(name) for name in outputs]

    def _alias(self, bound: Any, sources: Sequence[str]) -> None:
        """``bound``'s outputs are the values ``sources``."""
        for name, source in zip(bound.output, sources, strict=False):
            if name and source in self._lost:
                self._lost.add(name)
            elif name:
                self._plain(onnx.helper.make_node("Identity", [source], [name], name), MODERN)

    def _if(self, bound: Any, node: Any, scope: Scope) -> None:
        condition = self._single(bound.input[0], "the condition of If")
        branch = _subgraph(node, "then_branch" if condition else "else_branch")
        self._alias(bound, self._graph(branch, scope.inside(f"{label(bound)}/")))

    def _loop(self, bound: Any, node: Any, scope: Scope) -> None:
        body = _subgraph(node, "body")
        limit, going = self._known(bound.input[0], ENDLESS), self._known(bound.input[1], 1)
        carried = list(bound.input[2:])
        scans: list[list[str]] = [[] for _ in body.output[1 + len(carried) :]]
        turn = 0
        while going and turn < limit:
            self._count()
            inner = scope.inside(f"{label(bound)}/{turn}/")
            self.constant(self.define(body.input[0].name, inner), np.array(turn, np.int64))
            self.constant(self.define(body.input[1].name, inner), np.array(True))
            for info, name in zip(body.input[2:], carried, strict=True):
                inner.names[info.name] = name
            results = self._graph(body, inner)
            going = self._known(results[0], 1)
            carried = results[1 : 1 + len(carried)]
            for rows, name in zip(scans, results[1 + len(carried) :], strict=True):
                rows.append(name)
            turn += 1
        stacked = [self._stacked(bound, rows) for rows in scans]
        self._alias(bound, [*carried, *stacked])

    def _scan(self, bound: Any, node: Any, scope: Scope) -> None:
        """One turn for each row of the last inputs, which all have as many."""
        if scope.opset < 9:
            raise Refused("Scan over a batch of opset 8", "Export the model with opset 9 or later")
        body, (count,) = _subgraph(node, "body"), _numbers(node, "num_scan_inputs", 0, 1)
        states, sources = list(bound.input[:-count]), bound.input[len(bound.input) - count :]
        axes = _numbers(node, "scan_input_axes", 0, count)
        backward = _numbers(node, "scan_input_directions", 0, count)
        shapes = [self.kinds[name].shape for name in sources]
        turns = {shape[axis] for shape, axis in zip(shapes, axes, strict=True)}
        scans: list[list[str]] = [[] for _ in body.output[len(states) :]]
        if len(turns) != 1:
            raise Refused(f"Scan over inputs of {sorted(turns)} rows", "Export the model again")
        (length,) = turns
        for turn in range(length):
            self._count()
            inner = scope.inside(f"{label(bound)}/{turn}/")
            places = [length - 1 - turn if back else turn for back in backward]
            rows = map(self._row, [bound] * count, sources, axes, places)
            for info, name in zip(body.input, [*states, *rows], strict=True):
                inner.names[info.name] = name
            results = self._graph(body, inner)
            states = results[: len(states)]
            for found, name in zip(scans, results[len(states) :], strict=True):
                found.append(name)
        turned = _numbers(node, "scan_output_directions", 0, len(scans))
        axes = _numbers(node, "scan_output_axes", 0, len(scans))
        stacked = [
            self._stacked(bound, found[::-1] if back else found, axis)
            for found, back, axis in zip(scans, turned, axes, strict=True)
        ]
        self._alias(bound, [*states, *stacked])

    def _row(self, bound: Any, source: str, axis: int, place: int) -> str:
        index = self.constant(self._new(bound, "turn"), np.array(place, np.int64))
        name = self._new(bound, "row")
        made = onnx.helper.make_node("Gather", [source, index], [name], name, axis=axis)
        self._plain(made, MODERN)
        return name

    def _known(self, name: str, default: int) -> int:
        """A number that a loop hangs on."""
        return int(self._single(name, "the trip count of Loop")) if name else default

    def _single(self, name: str, what: str) -> Any:
        """The one number of a constant."""
        found = self.constants.get(name)
        if found is None or found.size != 1:
            raise Refused(f"{what} is computed at run time", _CONTROL)
        return found.item()

    def _stacked(self, bound: Any, rows: Sequence[str], axis: int = 0) -> str:
        """The values ``rows`` along a new axis."""
        if not rows:
            raise Refused(f"{bound.op_type} gives the rows of no turn", _CONTROL)
        zero = self.constant(self._new(bound, "axis"), np.array([axis]))
        wide = [self._new(bound, "row") for _ in rows]
        for row, name in zip(rows, wide, strict=True):
            self._plain(onnx.helper.make_node("Unsqueeze", [row, zero], [name], name), MODERN)
        joined = self._new(bound, "rows")
        self._plain(onnx.helper.make_node("Concat", wide, [joined], joined, axis=axis), MODERN)
        return joined


def _numbers(node: Any, name: str, default: int, count: int) -> list[int]:
    """The ``count`` whole numbers of an attribute."""
    found = (onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name)
    given = np.array(next(found, []), np.int64).reshape(-1)
    return given.tolist() or [default] * count


def _subgraph(node: Any, name: str) -> Any:
    found = next((a.g for a in node.attribute if a.name == name and a.HasField("g")), None)
    if found is None:
        raise Refused(f"operator {node.op_type} lacks its {name}", "Export the model again")
    return found


def _misread(made: _Resolver, steps: Sequence[OnnxStep]) -> list[McuqError]:
    """What reads the integers of a DynamicQuantizeLinear, which are kept as the reals they mean."""
    faults: list[McuqError] = []
    for step in steps:
        found = made.unrounded.intersection(step.inputs)
        taken = step.op == "Clip" and len(step.inputs) == 1  # what replaces DequantizeLinear
        if found and not taken and step.op not in ("Conv", "MatMul", *KEEPS_GRID):
            reason = "it computes with the integers of DynamicQuantizeLinear"
            faults.append(node_error(made.model.name, step.name, reason, _STATIC))
    for name in made.model.outputs:
        if name in made.unrounded:
            reason = f"output '{name}' holds integers of DynamicQuantizeLinear"
            faults.append(ModelError(made.model.name, reason, _STATIC))
    return faults


def _check_node(node: Any, scope: Scope) -> None:
    if not any(node.output):
        raise Refused("has no outputs", "Export the model again")
    for attribute in node.attribute:
        if attribute.ref_attr_name and not scope.prefix:
            raise Refused(f"attribute '{attribute.name}' refers to a function")
    if node.op_type not in ("If", "Loop", "Scan") and any(subgraphs(node)):
        reason = f"operator {node.op_type} holds a subgraph, which is not supported"
        raise Refused(reason, remedy_for(node.op_type))


def _shape_of(step: OnnxStep, shape: Shape) -> Array:
    """What Shape or Size gives."""
    if step.op == "Size":
        return np.array(prod(shape), np.int64)
    start, end = step.attrs.get("start", 0), step.attrs.get("end", len(shape))
    return np.array(shape[start:end], np.int64)
