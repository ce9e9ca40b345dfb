"""LSTM, GRU and RNN: a whole sequence, from a state that the model states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcuq.importers.nodes import cells as stepwise
from mcuq.importers.nodes import layout
from mcuq.importers.nodes.builder import Refused, Value
from mcuq.importers.nodes.call import NodeCall, Operand, in_order
from mcuq.ir import Array, Shape
from mcuq.ops.recurrent import rnn
from mcuq.ops.recurrent.cell import start_frac

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


@dataclass(frozen=True, eq=False)
class _Layer:
    """A checked node: steps and units, what is common to its directions, and the input's tensor."""

    steps: int
    hidden: int
    attrs: dict[str, Any]
    source: str
    first: bool
    reversed: tuple[bool, ...]

    def shape(self, whole: bool) -> Shape:
        """Of all states or of the last ones: ``first`` if the batch is the first axis."""
        directions = len(self.reversed)
        if not whole:
            return (1, directions, self.hidden) if self.first else (directions, 1, self.hidden)
        if self.first:
            return (1, self.steps, directions, self.hidden)
        return (self.steps, directions, 1, self.hidden)


def layer(call: NodeCall) -> list[Operand]:
    """Of all states, the last ones and, of LSTM, the last cells those that have a name.

    The last states are copied from all states; the last cells are computed by a layer of their own.
    """
    made = _checked(call)
    if any(isinstance(call.operand(place), Value) for place in (5, 6)):
        return _step_by_step(call, made)
    states, last, cells = [*call.outputs, "", "", ""][:3]
    found: list[Operand] = []
    if states or last:
        name = states or f"{last}.all"
        every = [_direction(call, made, i, name, "all") for i in range(len(made.reversed))]
        if states:
            found.append(_joined(call, made, every, states, whole=True))
        if last:
            picked = [_last(call, made, i, tensor, last) for i, tensor in enumerate(every)]
            found.append(_joined(call, made, picked, last, whole=False))
    if cells:
        held = [_direction(call, made, i, cells, "cell") for i in range(len(made.reversed))]
        found.append(_joined(call, made, held, cells, whole=False))
    return found


def _step_by_step(call: NodeCall, made: _Layer) -> list[Operand]:
    """The same from a state that is computed."""
    several = len(made.reversed) > 1
    name = next(output for output in call.outputs if output)
    ran = []
    for i, backward in enumerate(made.reversed):
        label = f"{name}.{'backward' if backward else 'forward'}" if several else name
        starts = tuple(
            _start_tensor(call, made, i, place, label)
            for place in ((5, 6) if call.op == "LSTM" else (5,))
        )
        layer = stepwise.Direction(
            call.op, call.name, label, made.source, made.steps, backward,
            _constants(call, made, i), starts, made.attrs,
        )  # fmt: skip
        ran.append(stepwise.run(call.builder, layer))
    found: list[Operand] = []
    for place, output in enumerate([*call.outputs, "", "", ""][:3]):
        if output and place == 0:
            rows = [_beside(call, one.states, f"{output}.all_{i}") for i, one in enumerate(ran)]
            found.append(_joined(call, made, rows, output, whole=True))
        elif output:
            last = [one.last[place - 1] for one in ran]
            found.append(_joined(call, made, last, output, whole=False))
    return found


def _start_tensor(call: NodeCall, made: _Layer, index: int, place: int, label: str) -> str:
    """(1, H): the first state of a direction; a constant one is made a tensor."""
    given = call.operand(place)
    if not isinstance(given, Value):
        remedy = "Let both of them be inputs, or both be constant"
        raise Refused(f"{call.op} of which one state is computed, the other constant", remedy)
    size = made.hidden
    own = in_order(call, given, (1, len(made.reversed) * size))
    if len(made.reversed) == 1:
        return own
    rows = np.arange(index * size, (index + 1) * size)
    return call.builder.copy(call.name, own, rows, (1, size), f"{label}.start_{place}")


def _beside(call: NodeCall, states: tuple[str, ...], name: str) -> str:
    """(1, 1, T, H) of T tensors (1, H)."""
    builder = call.builder
    size = builder.tensors[states[0]].shape[1]
    rows = [builder.shaped(state, (1, 1, 1, size)) for state in states]
    return rows[0] if len(rows) == 1 else builder.emit("concat", call.name, rows, name, axis=2)


def _checked(call: NodeCall) -> _Layer:
    value, first = call.value(), call.integer("layout", 0) == 1
    if len(value.shape) != 3:
        raise Refused(f"{len(value.shape)}-dimensional data", "Give it (time, batch, data)")
    steps, batch = value.shape[:2][:: -1 if first else 1]
    if batch != 1:
        remedy = "Export the model with a batch of 1: one inference takes one sequence"
        raise Refused(f"{call.op} over a batch of {batch} sequences", remedy)
    _check_left_out(call, steps)
    given = call.text("direction", "forward").lower()
    if given not in _DIRECTIONS:
        raise Refused(f"direction '{given}'", f"Use one of {', '.join(_DIRECTIONS)}")
    hidden, attrs = call.constant(2).shape[-1], _common(call, len(_DIRECTIONS[given]))
    source = in_order(call, value, (1, 1, steps, value.shape[2]))
    return _Layer(steps, hidden, attrs, source, first, _DIRECTIONS[given])


def _check_left_out(call: NodeCall, steps: int) -> None:
    """Refuse what has no form in integers."""
    lengths = call.optional(4)
    if lengths is not None and bool((lengths != steps).any()):
        remedy = "Export it without sequence_lens: one inference takes a whole sequence"
        raise Refused(f"{call.op} with sequences of several lengths", remedy)
    peepholes = call.optional(7)
    if peepholes is not None and bool(peepholes.any()):
        raise Refused(f"{call.op} with peepholes", "Use an LSTM without them")
    if call.integer("input_forget", 0):
        raise Refused(f"{call.op} with coupled gates", "Export it with input_forget = 0")


def _common(call: NodeCall, directions: int) -> dict[str, Any]:
    """The attributes of all directions."""
    found: dict[str, Any] = {}
    limit = call.real("clip", 0.0)
    if limit > 0.0:
        found["limit"] = limit
    acts = _activations(call, directions)
    if call.op == "RNN":
        found["activation"] = acts[0].lower()
    if call.op == "GRU":
        found["after"] = bool(call.integer("linear_before_reset", 0))
    return found


def _activations(call: NodeCall, directions: int) -> tuple[str, ...]:
    """Those of one direction; other ones than the usual are refused."""
    usual = _DEFAULTS[call.op]
    given = tuple(_text(name).capitalize() for name in call.attrs.get("activations", ()))
    if not given:
        return usual
    one = given[: len(usual)]
    able = one == usual or (call.op == "RNN" and one[0].lower() in rnn.ACTIVATIONS)
    if given != one * directions or not able:
        reason = f"{call.op} with activations {', '.join(given)}"
        raise Refused(reason, f"Use {', '.join(usual)}")
    return one


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name


def _direction(call: NodeCall, made: _Layer, index: int, name: str, gives: str) -> str:
    """The states of one direction, as a tensor of their own."""
    builder = call.builder
    several = len(made.reversed) > 1
    label = f"{name}.{'backward' if made.reversed[index] else 'forward'}" if several else name
    parts = _constants(call, made, index)
    inputs = [builder.constant(f"{label}.{part}", data) for part, data in parts.items()]
    attrs = {**made.attrs, "gives": gives, "reverse": made.reversed[index]}
    if "start" in parts and start_frac(parts["start"]) != start_frac(np.zeros(1)):
        attrs["state_frac"] = start_frac(parts["start"])
    return builder.emit(call.op.lower(), call.name, [made.source, *inputs], label, **attrs)


def _constants(call: NodeCall, made: _Layer, index: int) -> dict[str, Array]:
    """Weights, biases and starts of one direction, as the operators have them."""
    rows = _GATES[call.op] * made.hidden
    w, r = (call.constant(i)[index] for i in (1, 2))
    bias = call.optional(3)
    both = np.zeros(2 * rows) if bias is None else bias[index].astype(np.float64)
    if call.op != "GRU":
        both = both[:rows] + both[rows:]
    found = {"weight": w, "recurrence": r, "bias": both}
    for part, place in (("start", 5), ("cell", 6)):
        if part == "start" or call.op == "LSTM":
            found[part] = _start(call, made, index, place)
    return found


def _start(call: NodeCall, made: _Layer, index: int, place: int) -> Array:
    """A state at the start: a constant, or zeros where it is left out."""
    given = call.operand(place)
    if given is None or isinstance(given, Value):
        return np.zeros(made.hidden)
    found: Array = given.reshape(len(made.reversed), made.hidden)[index]
    return found


def _last(call: NodeCall, made: _Layer, index: int, states: str, name: str) -> str:
    """The state of the last step that was made."""
    place = 0 if made.reversed[index] else (made.steps - 1) * made.hidden
    label = name if len(made.reversed) == 1 else f"{name}.{index}"
    shape = (1, made.hidden)
    return call.builder.emit(
        "copy", call.name, [states], label,
        shape=shape, places=(place,), sizes=(made.hidden,), strides=(1,),
    )  # fmt: skip


def _joined(call: NodeCall, made: _Layer, tensors: list[str], name: str, whole: bool) -> Value:
    """The directions beside each other, step by step."""
    shape = made.shape(whole)
    tensor = tensors[0]
    if len(tensors) > 1:
        axis = len(call.builder.tensors[tensor].shape) - 1
        tensor = call.builder.emit("concat", call.name, tensors, name, axis=axis)
    return Value(shape, tensor, layout.identity(int(np.prod(shape))))
