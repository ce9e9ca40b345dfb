"""Loops that are recurrent layers: what Keras makes of an LSTM or GRU where it has no operator.

The body of a WHILE is one step: it gathers a row of the data, computes the new states, and puts one
into a list. A body is read as a form, in which sums and products have no order; if that is the form
of a cell, the loop is the layer, and its list the states of all steps or of the last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.tflite.file import Model, Operator
from mcuq.importers.tflite.writer import OperatorCall, reals
from mcuq.ir import Array

Form = tuple[Any, ...]
"""An operator's name and the forms of its operands; ``("arg", n)``, ``("constant", place)``."""
UNROLL = "Convert it with unroll=True, or so that its LSTM stays one operator"
_SAME = ("QUANTIZE", "DEQUANTIZE", "DENSIFY")
_VIEWS = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE")
_LISTS = ("CUSTOM:FlexTensorListSetItem", "DYNAMIC_UPDATE_SLICE")
_REASON = "WHILE is a loop, but no LSTM or GRU as Keras writes them"


@dataclass(frozen=True)
class Cell:
    """A recurrent layer: ``op`` in ONNX; the positions of its data and states among the loop's
    values; weights (gates x H, I), recurrence (gates x H, H), biases (2 x gates x H).
    """

    op: str
    data: int
    states: tuple[int, ...]
    weights: Array
    recurrence: Array
    biases: Array


def layer(call: OperatorCall) -> list[str]:
    """The results of a WHILE that is a layer."""
    graphs = [
        call.writer.model.others[call.integer(f"{part}SubgraphIndex")] for part in ("Cond", "Body")
    ]
    reader = _Reader(graphs[1])
    made = reader.outputs()
    counters = [n for n, form in enumerate(made) if reader.counts(form, n)]
    steps = _steps(call, graphs[0], counters)
    cell = _lstm(reader, made, counters) or _gru(reader, made, counters)
    if cell is None or call.shape(cell.data)[:2] != (steps, 1):
        raise Refused(_REASON, UNROLL)
    names = _written(call, cell)
    for number, form in enumerate(made):
        if number in counters:
            names[number] = call.writer.constant(np.array(steps))
        elif number == cell.data:
            names[number] = call.value(number)
        elif number not in names:
            whole = _all_steps(reader, form, number, made[cell.states[0]], counters)
            names[number] = names[-2 if whole else -1]
    return [names[number] for number in range(len(made))]


class _Reader:
    """What the tensors of a graph are made of."""

    def __init__(self, graph: Model) -> None:
        self.graph = graph
        self.makers = {place: o for o in graph.operators for place in o.outputs}
        self.known: dict[int, Form] = {p: ("arg", n) for n, p in enumerate(graph.inputs)}

    def outputs(self) -> list[Form]:
        for operator in self.graph.operators:
            for place in operator.outputs:
                self.known[place] = self._form(operator, place)
        return [self._operand(place) for place in self.graph.outputs]

    def array(self, place: int) -> Array:
        return reals(self.graph.tensors[place])

    def counts(self, form: Form, number: int) -> bool:
        """Whether it is value ``number`` of the loop, plus one."""
        ones = [f for f in form[1:] if f != ("arg", number)]
        return form[0] == "ADD" and len(form) == 3 and len(ones) == 1 and self.holds(ones[0], 1)

    def holds(self, form: Form, number: float) -> bool:
        """Whether it is a constant, everywhere ``number``."""
        return form[0] == "constant" and bool((self.array(form[1]) == number).all())

    def _operand(self, place: int | None) -> Form:
        if place is None:
            return ("none",)
        return self.known.get(place, ("constant", place))

    def _form(self, operator: Operator, place: int) -> Form:
        forms = [self._operand(p) for p in operator.inputs]
        if operator.op in _SAME:
            return forms[0]
        if operator.op == "SPLIT":
            return _part(forms[1], operator.outputs.index(place), len(operator.outputs))
        if operator.options.get("FusedActivationFunction"):
            return (operator.op, "activated", *forms)
        if operator.op in ("ADD", "MUL"):
            return _either(operator.op, *forms)
        return (operator.op, *forms)


def _part(whole: Form, number: int, count: int) -> Form:
    return ("SPLIT", number, count, whole)


def _either(op: str, *forms: Form) -> Form:
    """A sum or product, whatever the order."""
    return (op, *sorted(forms, key=repr))


def _parts_of(form: Form, count: int) -> list[Form]:
    """What is split into ``count`` parts inside of ``form``, once each."""
    found: dict[Form, None] = {}
    waiting = [form]
    while waiting:
        each = waiting.pop()
        if each[0] == "SPLIT" and each[2] == count:
            found[each[3]] = None
        waiting += [inner for inner in each[1:] if isinstance(inner, tuple)]
    return list(found)


def _lstm(reader: _Reader, made: Sequence[Form], counters: Sequence[int]) -> Cell | None:
    """A step c' = f c + i tanh(g), h' = o tanh(c') with the gates i, f, g, o of one sum."""
    for hidden, cell in ((h, c) for h in range(len(made)) for c in range(len(made)) if h != c):
        for total in _parts_of(made[hidden], 4):
            i, f, g, o = (_part(total, number, 4) for number in range(4))
            kept = _either("MUL", ("LOGISTIC", f), ("arg", cell))
            new = _either("ADD", kept, _either("MUL", ("LOGISTIC", i), ("TANH", g)))
            shown = _either("MUL", ("LOGISTIC", o), ("TANH", new))
            if (made[hidden], made[cell]) == (shown, new):
                terms = _terms(reader, [total], hidden, counters)
                return _cell(reader, "LSTM", terms, (hidden, cell), (0, 3, 1, 2))
    return None


def _gru(reader: _Reader, made: Sequence[Form], counters: Sequence[int]) -> Cell | None:
    """A step h' = z h + (1 - z) tanh(x + r u): z, r, x of a sum of the data, and u of one of h."""
    for hidden, form in enumerate(made):
        for data in (sums := _parts_of(form, 3)):
            for own in sums:
                x, u = ([_part(total, number, 3) for number in range(3)] for total in (data, own))
                z, r = (("LOGISTIC", _either("ADD", x[n], u[n])) for n in (0, 1))
                new = ("TANH", _either("ADD", x[2], _either("MUL", r, u[2])))
                kept = _either("MUL", z, ("arg", hidden))
                rest = [f for f in _inside(form, "SUB") if reader.holds(f[1], 1) and f[2] == z]
                if any(form == _either("ADD", kept, _either("MUL", f, new)) for f in rest):
                    terms = _terms(reader, [data, own], hidden, counters)
                    return _cell(reader, "GRU", terms, (hidden,), (0, 1, 2))
    return None


def _inside(form: Form, op: str) -> Iterator[Form]:
    waiting = [form]
    while waiting:
        each = waiting.pop()
        if each[0] == op:
            yield each
        waiting += [inner for inner in each[1:] if isinstance(inner, tuple)]


@dataclass(frozen=True)
class _Terms:
    """Where the weights of the data and of the state are, and the biases of each sum."""

    data: int
    weights: int
    recurrence: int
    biases: tuple[tuple[int, ...], ...]


def _terms(
    reader: _Reader, sums: Sequence[Form], hidden: int, counters: Sequence[int]
) -> _Terms | None:
    """The products and constants that ``sums`` add up; None if there is anything else."""
    data: list[tuple[int, int]] = []
    recurrence: list[int] = []
    biases: list[tuple[int, ...]] = []
    for total in sums:
        own: list[int] = []
        waiting = [total]
        while waiting:
            form = waiting.pop()
            if form[0] == "ADD" and form[1] != "activated":
                waiting += form[1:]
            elif form[0] == "constant":
                own.append(form[1])
            elif form[0] == "FULLY_CONNECTED" and form[2][0] == "constant":
                own += [f[1] for f in form[3:] if f[0] == "constant"]
                if form[1] == ("arg", hidden):
                    recurrence.append(form[2][1])
                elif _is_row(form[1], counters):
                    data.append((form[1][1][1], form[2][1]))
                else:
                    return None
            else:
                return None
        biases.append(tuple(own))
    if len(data) != 1 or len(recurrence) != 1:
        return None
    return _Terms(data[0][0], data[0][1], recurrence[0], tuple(biases))


def _is_row(form: Form, counters: Sequence[int]) -> bool:
    """Whether it is a row of a value of the loop, that of this step."""
    if form[0] in _VIEWS:
        form = form[1]
    row = form[0] == "GATHER" and form[1][0] == "arg"
    return row and form[2][0] == "arg" and form[2][1] in counters


def _cell(
    reader: _Reader, op: str, terms: _Terms | None, states: tuple[int, ...], order: Sequence[int]
) -> Cell | None:
    """The layer, its gates in ONNX's ``order``."""
    if terms is None:
        return None
    weights, recurrence = reader.array(terms.weights), reader.array(terms.recurrence)
    sums = [
        np.sum([reader.array(b) for b in own] or [np.zeros(len(weights))], axis=0).reshape(-1)
        for own in terms.biases
    ]
    sums += [np.zeros(len(weights))] * (2 - len(sums))
    turned = [_turned(part, order) for part in (weights, recurrence, *sums)]
    biases = np.concatenate(turned[2:])
    return Cell(op, terms.data, states, turned[0], turned[1], biases)


def _turned(rows: Array, order: Sequence[int]) -> Array:
    gates = rows.reshape(len(order), -1, *rows.shape[1:])
    return np.asarray(gates[list(order)].reshape(rows.shape), np.float32)


def _steps(call: OperatorCall, condition: Model, counters: Sequence[int]) -> int:
    """How often the loop runs: as long as all counters, from 0, are below a constant."""
    reader = _Reader(condition)
    limits: list[int] = []
    waiting = reader.outputs()
    while waiting:
        form = waiting.pop()
        if form[0] == "LOGICAL_AND":
            waiting += form[1:]
        elif form[0] == "LESS" and form[1][0] == "arg" and form[2][0] == "constant":
            counted = form[1][1] in counters and call.is_constant(form[1][1])
            if not counted or bool(call.array(form[1][1]).any()):
                raise Refused(_REASON, UNROLL)
            limits.append(int(reader.array(form[2][1]).reshape(())))
        else:
            raise Refused(_REASON, UNROLL)
    return min(limits)


def _all_steps(
    reader: _Reader, form: Form, number: int, shown: Form, counters: Sequence[int]
) -> bool:
    """Whether the list ``form`` gets the state of each step at a place of its own, not at 0."""
    if form[0] not in _LISTS or form[1] != ("arg", number):
        raise Refused(_REASON, UNROLL)
    index, item = form[2:] if form[0] == _LISTS[0] else (form[3], form[2])
    if _seen(item) != shown:
        raise Refused(_REASON, UNROLL)
    if index[0] in ("PACK", "CONCATENATION"):
        index, *others = index[1:]
        if not all(reader.holds(other, 0) for other in others):
            raise Refused(_REASON, UNROLL)
    index = _seen(index)
    if index[0] == "arg" and index[1] in counters:
        return True
    if not reader.holds(index, 0):
        raise Refused(_REASON, UNROLL)
    return False


def _seen(form: Form) -> Form:
    """What is behind a view."""
    return form[1] if form[0] in _VIEWS else form


def _written(call: OperatorCall, cell: Cell) -> dict[int, str]:
    """The states by their position; at -2 of all steps, (T, 1, H), at -1 the last, (1, 1, H)."""
    parts = [
        call.writer.constant(part[None], name)
        for name, part in (("weights", cell.weights), ("recurrence", cell.recurrence),
                           ("biases", cell.biases))
    ]  # fmt: skip
    front = call.writer.integers([0])
    starts = [call.node("Unsqueeze", [call.value(state), front]) for state in cell.states]
    attrs = {"linear_before_reset": 1} if cell.op == "GRU" else {}
    size = cell.recurrence.shape[1]
    inputs = [call.value(cell.data), *parts, "", *starts]
    first = call.node(cell.op, inputs, hidden_size=size, **attrs)
    lasts = [call.writer.further(first) for _ in cell.states]
    names = {
        state: call.node("Squeeze", [last, front])
        for state, last in zip(cell.states, lasts, strict=True)
    }
    names[-2] = call.node("Squeeze", [first, call.writer.integers([1])])
    names[-1] = lasts[0]
    return names


def reserved(call: OperatorCall) -> list[str]:
    """FlexTensorListReserve: a list that a loop fills."""
    return [call.writer.constant(np.zeros(1, np.float32), "list")]


def stacked(call: OperatorCall) -> list[str]:
    """FlexTensorListStack: a list that a loop filled is its states, one behind the other."""
    return [call.value(0)]
