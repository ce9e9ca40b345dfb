"""Variables: what is set once, at the start, is a constant; what is set again is a state.

A graph that CALL_ONCE runs gives variables the values that READ_VARIABLE finds. A variable that the
main graph sets becomes an input, as it is read before that, and an output, as it is at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from mcuq.errors import ModelError
from mcuq.importers.tflite.file import Model, Operator, Tensor
from mcuq.importers.tflite.writer import reals
from mcuq.ir import Array

OPERATORS = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
_SAME = "DENSIFY"
"""An operator that changes nothing: what a variable becomes has a tensor of its own."""


@dataclass(frozen=True)
class Resolved:
    """``model``: without variables. ``states``: by the name of an input that of the output which
    it is at the next step; ``starts``: reals at the first one.
    """

    model: Model
    states: Mapping[str, str] = field(default_factory=dict)
    starts: Mapping[str, Array] = field(default_factory=dict)


def resolved(model: Model) -> Resolved:
    """``model`` whose variables are constants, or states; ModelError without a first value."""
    if not any(operator.op in OPERATORS for operator in model.operators):
        return Resolved(model)
    return _Reader(model).resolved()


class _Reader:
    """Walks over a graph, in the order in which it is run."""

    def __init__(self, model: Model) -> None:
        self.model, self.tensors = model, list(model.tensors)
        self.first, self.handles = _initial(model), _handles(model)
        self.set = {
            self.name_of(operator)
            for operator in model.operators
            if operator.op == "ASSIGN_VARIABLE"
        }
        self.now: dict[str, int] = {}
        self.read: dict[str, int] = {}
        self.alias: dict[int, int] = {}
        self.kept: list[Operator] = []

    def name_of(self, operator: Operator) -> str:
        return self.handles.get(operator.inputs[0] or 0, "")

    def place(self, place: int | None) -> int | None:
        """Where a value lies that was read from a variable before."""
        return place if place is None else self.alias.get(place, place)

    def resolved(self) -> Resolved:
        for operator in self.model.operators:
            inputs = tuple(self.place(place) for place in operator.inputs)
            if operator.op == "READ_VARIABLE":
                self._read(self.name_of(operator), operator.outputs[0])
            elif operator.op == "ASSIGN_VARIABLE":
                self.now[self.name_of(operator)] = inputs[1] or 0
            elif operator.op not in OPERATORS:
                self.kept.append(replace(operator, inputs=inputs))
        written = {name: self._written(name) for name in self.read}
        names = {place: tensor.name for place, tensor in enumerate(self.tensors)}
        model = replace(
            self.model,
            tensors=tuple(self.tensors),
            inputs=(*self.model.inputs, *self.read.values()),
            outputs=(*(self.place(p) or 0 for p in self.model.outputs), *written.values()),
            operators=tuple(self.kept),
        )
        states = {names[self.read[name]]: names[place] for name, place in written.items()}
        starts = {names[place]: self._start(name, place) for name, place in self.read.items()}
        return Resolved(model, states, starts)

    def _read(self, name: str, place: int) -> None:
        """The value that a variable has: of the step before, or already of this one."""
        if name in self.now:
            self.alias[place] = self.now[name]
            return
        value = self.first.get(name)
        if value is None or value.shape != self.tensors[place].shape:
            reason = "reads variables that the file gives no value (READ_VARIABLE)"
            remedy = "Convert it from a saved model with its weights frozen"
            raise ModelError(self.model.name, reason, remedy)
        if name not in self.set:
            self.tensors[place] = replace(value, name=self.tensors[place].name)
            return
        self.now[name] = self.read[name] = place
        self.tensors[place] = replace(self.tensors[place], name=self._fresh(name))

    def _written(self, name: str) -> int:
        """The place of a tensor of its own for what the variable becomes."""
        read, value = self.tensors[self.read[name]], self.tensors[self.now[name]]
        if value.shape != read.shape:
            reason = f"variable '{name}' of shape {read.shape} is set to shape {value.shape}"
            raise ModelError(self.model.name, reason, "Convert the model again")
        self.tensors.append(replace(value, name=self._fresh(f"{name}.next"), data=None))
        self.kept.append(Operator(_SAME, (self.now[name],), (len(self.tensors) - 1,)))
        return len(self.tensors) - 1

    def _fresh(self, wanted: str) -> str:
        taken, name = {tensor.name for tensor in self.tensors}, wanted
        while name in taken:
            name += "_"
        return name

    def _start(self, name: str, place: int) -> Array:
        value, read = self.first[name], self.tensors[place]
        if not value.scales:
            value = replace(value, scales=read.scales, zeros=read.zeros, axis=read.axis)
        return np.asarray(reals(value), np.float32)


def _initial(model: Model) -> dict[str, Tensor]:
    """The constants that graphs run by CALL_ONCE assign, by the variable's name."""
    found: dict[str, Tensor] = {}
    for graph in _run_once(model):
        handles = _handles(graph)
        for operator in graph.operators:
            if operator.op == "ASSIGN_VARIABLE" and None not in operator.inputs:
                handle, value = (place or 0 for place in operator.inputs)
                if handle in handles and graph.tensors[value].data is not None:
                    found[handles[handle]] = graph.tensors[value]
    return found


def _run_once(model: Model) -> Iterator[Model]:
    for operator in model.operators:
        number = int(operator.options.get("InitSubgraphIndex", 0))
        if operator.op == "CALL_ONCE" and number in model.others:
            yield model.others[number]


def _handles(graph: Model) -> dict[int, str]:
    """The name of the variable behind each handle."""
    makers = [operator for operator in graph.operators if operator.op == "VAR_HANDLE"]
    return {maker.outputs[0]: _name(maker) for maker in makers}


def _name(operator: Operator) -> str:
    parts = (operator.options.get(word) or b"" for word in ("Container", "SharedName"))
    return "/".join(part.decode("utf-8", "replace") for part in parts if part)
