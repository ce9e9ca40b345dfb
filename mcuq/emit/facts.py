"""Program and Plan -> the facts that the templates print; all logic of the generated C is here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mcuq.emit.blob import Apart, Extent, Layout, number_type
from mcuq.emit.c_text import (
    CTYPES,
    array_body,
    fill,
    frac_text,
    literal,
    shape_text,
)
from mcuq.emit.naming import comment, identifiers
from mcuq.emit.ports import PortFacts, port_facts
from mcuq.emit.target import target_warnings
from mcuq.ir import Array, Port, Stream, fed, shown, state_ports
from mcuq.kernels.variant import Call, ConstArray, Field
from mcuq.program.elsewhere import Elsewhere, sentence
from mcuq.program.lower import Program, Step
from mcuq.program.plan import Placed, Plan
from mcuq.program.state import state_bytes, state_places
from mcuq.qir import QTensor
from mcuq.reference import port_to_int


@dataclass(frozen=True)
class ArrayFacts:
    """A constant array of the weights header; ``body`` holds its initializer rows."""

    symbol: str
    ctype: str
    length: int
    comment: str
    align: int
    body: str


@dataclass(frozen=True)
class CallFacts:
    """One parameter struct and the call that uses it."""

    params_type: str
    params: str
    members: tuple[str, ...]
    line: str


@dataclass(frozen=True)
class StateFacts:
    """Something that a stream keeps: at ``offset`` of its bytes, which start as ``byte``.

    ``start``: the array of its first values, where they are not all one byte; else "".
    """

    offset: int
    bytes: int
    byte: int
    start: str
    text: str


@dataclass(frozen=True)
class StepFacts:
    """One step: its comment, its calls, and the trace hook behind them.

    ``weights``: what it reads of the blob, if its weights lie there.
    """

    index: int
    name: str
    title: str
    numbers: str
    kernel: str
    calls: tuple[CallFacts, ...]
    trace: str
    weights: Extent | None = None


@dataclass(frozen=True)
class ArenaRow:
    """One line of the arena table; ``steps`` is the range of its life, from 1."""

    offset: int
    bytes: int
    steps: str
    name: str
    text: str


@dataclass(frozen=True)
class ModelFacts:
    """Everything a template may print about one model."""

    id: str
    source: str
    digest: str
    inputs: tuple[PortFacts, ...]
    outputs: tuple[PortFacts, ...]
    arrays: tuple[ArrayFacts, ...]
    arena_rows: tuple[ArenaRow, ...]
    offsets: tuple[tuple[str, int], ...]
    steps: tuple[StepFacts, ...]
    arena: int
    arena_align: int
    arena_lower_bound: int
    flash_weights: int
    macs: int
    wide: bool
    kernels_for: str
    warnings: tuple[tuple[str, str], ...]
    apart: Apart | None = None
    states: tuple[StateFacts, ...] = ()
    state_bytes: int = 0
    stream: Stream | None = None

    @property
    def function(self) -> str:
        """What the caller calls: for one inference, or for one step of a stream."""
        return f"{self.id}_{'step' if self.stream else 'run'}"

    @property
    def kept(self) -> tuple[str, ...]:
        """The C parameter of a stream's state."""
        return (f"int8_t state[{self.prefix}_STATE_LEN]",) if self.stream else ()

    @property
    def prefix(self) -> str:
        return self.id.upper()

    @property
    def parameters(self) -> tuple[str, ...]:
        """The C parameters of the run function."""
        arena = f"int8_t arena[{self.prefix}_ARENA_LEN]"
        return (
            *self._blob, arena, *self.kept, *(p.declaration for p in (*self.inputs, *self.outputs))
        )  # fmt: skip

    @property
    def _blob(self) -> tuple[str, ...]:
        return ("const void *blob",) if self.apart else ()

    @property
    def selftest_parameters(self) -> tuple[str, ...]:
        """The C parameters of the self-test, which brings the inputs."""
        arena = f"int8_t arena[{self.prefix}_ARENA_LEN]"
        return (*self._blob, arena, *self.kept, *(p.declaration for p in self.outputs))

    @property
    def selftest_arguments(self) -> tuple[str, ...]:
        """What the self-test calls the run function with."""
        known = (f"known_{p.c_name}" for p in self.inputs)
        blob = ("blob",) if self.apart else ()
        state = ("state",) if self.stream else ()
        return (*blob, "arena", *state, *known, *(p.c_name for p in self.outputs))

    @property
    def unused(self) -> tuple[str, ...]:
        """The parameters that no call names."""
        words = {w for s in self.steps for c in s.calls for w in re.findall(r"\w+", c.line)}
        state = ("state",) if self.stream else ()
        names = ("arena", *state, *(p.c_name for p in (*self.inputs, *self.outputs)))
        blob = ("blob",) if self.apart and not any(s.weights for s in self.steps) else ()
        return (*blob, *(name for name in names if name not in words))


class _Writer:
    """The names given to tensors, steps and constants of one program."""

    def __init__(self, program: Program, plan: Plan, model_id: str, apart: bool) -> None:
        self.program, self.plan, self.id = program, plan, model_id
        graph = program.qgraph
        self.inputs = port_facts(fed(graph), "in", model_id, graph.tensors)
        self.outputs = port_facts(shown(graph), "out", model_id, graph.tensors)
        ports = (*self.inputs, *self.outputs)
        self.layout = Layout([_single(port) for port in ports]) if apart else None
        taken = {p.c_name for p in ports}
        self.steps = identifiers((s.node.name for s in program.steps), taken)
        self.tensors = identifiers(
            plan.tensors, (f"{step}_scratch" for step in self.steps.values())
        )
        self.scratch = {
            index: f"AT_{self.steps[program.steps[index].node.name].upper()}_SCRATCH"
            for index in plan.scratch
        }
        self.pointers = self._pointers()
        self.arrays: dict[str, ArrayFacts] = {}

    def _pointers(self) -> dict[str, str]:
        graph = self.program.qgraph
        found = {n: f"arena + AT_{c.upper()}" for n, c in self.tensors.items()}
        ports = (*fed(graph), *shown(graph))
        for port, facts in zip(ports, (*self.inputs, *self.outputs), strict=True):
            # Kernels take int8_t or void: the bytes of wider data.
            cast = "(const int8_t *)" if port in graph.inputs else "(int8_t *)"
            wide = graph.tensors[port.tensor].kind == "s16"
            found[self.program.root(port.tensor)] = f"{cast * wide}{facts.c_name}"
        places = state_places(graph)
        for state, read, written in state_ports(graph):
            for tensor in (read.tensor, written.tensor):
                found[self.program.root(tensor)] = f"state + {places[state.read]}"
        return found

    def states(self) -> tuple[StateFacts, ...]:
        """What is kept, in the order of its bytes; first values may become arrays."""
        graph, places = self.program.qgraph, state_places(self.program.qgraph)
        return tuple(
            self._state(read, state.start, places[state.read], number)
            for number, (state, read, _) in enumerate(state_ports(graph), 1)
        )

    def _state(self, port: Port, start: Array, offset: int, number: int) -> StateFacts:
        tensor = self.program.qgraph.tensors[port.tensor]
        data = port_to_int(port, start)
        found = np.unique(np.ascontiguousarray(data).view(np.uint8))
        symbol = "" if len(found) == 1 else f"{self.id}_start_{number}"
        if symbol:
            note = comment(f"'{port.name}' at the start")
            body = array_body(data)
            self.arrays[symbol] = ArrayFacts(symbol, CTYPES[tensor.kind], data.size, note, 4, body)
        text = comment(f"'{port.name}' {_text(tensor)}")
        return StateFacts(offset, tensor.bytes, int(found[0]), symbol, text)

    def pointer(self, name: str, step: Step) -> str:
        """The C expression for an operand of ``step``: a buffer, or a constant made an array."""
        graph = self.program.qgraph
        if not graph.is_constant(name):
            offset = self.program.offsets.get(name)
            whole = self.pointers[self.program.root(name)]
            return f"{whole} + {offset}" if offset else whole
        tensor = graph.tensors[name]
        suffix = f"operand_{list(step.node.inputs).index(name)}"
        array = ConstArray(suffix, CTYPES[tensor.kind], graph.data(name), _describe(name, tensor))
        return self.array(step, array, 0)

    def array(self, step: Step, array: ConstArray, part: int) -> str:
        """The C expression of a constant, which is recorded for the weights header or the blob.

        In the blob every step has its own, so that a hook can bring one step's at a time.
        """
        part_text = f"_{part}" if part else ""
        shared = array.shared and self.layout is None
        owner = "" if shared else f"_{self.steps[step.node.name]}{part_text}"
        symbol = f"{self.id}{owner}_{array.suffix}"
        if self.layout is not None:
            data = array.data.astype(array.data.dtype.newbyteorder("<"))
            place = self.layout.put(symbol, data.tobytes())
            return f"(const {array.ctype} *)(const void *)(weights + {place})"
        self.arrays[symbol] = ArrayFacts(
            symbol,
            array.ctype,
            array.data.size,
            comment(array.comment or f"{step.node.name} {array.suffix}"),
            array.align,
            array_body(array.data),
        )
        return symbol

    def call(self, step: Step, part: int, index: int) -> CallFacts:
        call = step.calls[part]
        arrays = {a.suffix: self.array(step, a, part) for a in call.arrays}
        params = f"{self.id}_{self.steps[step.node.name]}_params" + (f"_{part}" if part else "")
        arguments = [f"&{params}", *(self.pointer(n, step) for n in call.inputs)]
        out = self.pointers[self.program.root(call.output)]
        arguments.append(f"{out} + {call.out_offset}" if call.out_offset else out)
        if call.scratch:
            arguments.append(f"arena + {self.scratch[index]}")
        return CallFacts(
            call.params_type,
            params,
            tuple(_members(call, arrays, self.layout)),
            "\n".join(_call(call.symbol, arguments)),
        )

    def step(self, index: int, step: Step) -> StepFacts:
        graph = self.program.qgraph
        out = graph.tensors[step.node.output]
        pointer = self.pointers[self.program.root(out.name)]
        if self.layout is not None:
            self.layout.begin()
        calls = tuple(self.call(step, part, index) for part in range(len(step.calls)))
        return StepFacts(
            index + 1,
            self.steps[step.node.name],
            comment(_title(step, self.program)),
            comment(_numbers(step, self.program)),
            step.variant.symbol,
            calls,
            f"MCUQ_TRACE_STEP({index}, {pointer}, {out.bytes});",
            self.layout.window() if self.layout is not None else None,
        )

    def offsets(self) -> tuple[tuple[str, int], ...]:
        """The arena's constants: one per tensor and scratch buffer."""
        tensors = ((f"AT_{c.upper()}", self.plan.tensors[n]) for n, c in self.tensors.items())
        scratch = ((name, self.plan.scratch[index]) for index, name in self.scratch.items())
        return tuple((name, placed.offset) for name, placed in (*tensors, *scratch))

    def rows(self) -> tuple[ArenaRow, ...]:
        tensors = self.program.qgraph.tensors
        placed = [(p, n, _text(tensors[n])) for n, p in self.plan.tensors.items()]
        placed += [
            (p, f"scratch of {self.program.steps[i].node.name}", "")
            for i, p in self.plan.scratch.items()
        ]
        ordered = sorted(placed, key=lambda row: (row[0].offset, row[0].buffer.first, row[1]))
        return tuple(_row(p, name, text) for p, name, text in ordered)


def model_facts(
    program: Program,
    plan: Plan,
    model_id: str,
    source: str,
    digest: str,
    richer: tuple[Elsewhere, ...] = (),
    apart: int | None = None,
) -> ModelFacts:
    """The facts of one model. ``source`` is the model's file name, ``digest`` its SHA-256.

    ``apart``: the version of its weights, if they lie apart.
    """
    writer = _Writer(program, plan, model_id, apart is not None)
    steps = tuple(writer.step(i, s) for i, s in enumerate(program.steps))
    states = writer.states()
    return ModelFacts(
        id=model_id,
        source=comment(source),
        digest=digest,
        inputs=writer.inputs,
        outputs=writer.outputs,
        arrays=tuple(writer.arrays.values()),
        arena_rows=writer.rows(),
        offsets=writer.offsets(),
        steps=steps,
        arena=max(plan.size, 1),
        arena_align=8 if "mve" in program.cpu.features else 4,
        arena_lower_bound=plan.lower_bound,
        flash_weights=program.flash,
        macs=program.macs,
        kernels_for=sentence(program, richer),
        warnings=target_warnings(program, richer, model_id),
        wide=any(v.kind == "s16" and v.data is None for v in program.qgraph.tensors.values()),
        apart=writer.layout.apart(apart or 0) if writer.layout else None,
        states=states,
        state_bytes=state_bytes(program.qgraph),
        stream=program.qgraph.stream,
    )


def golden_arrays(
    facts: ModelFacts, inputs: Sequence[Array], outputs: Sequence[Array]
) -> tuple[ArrayFacts, ...]:
    """One vector, and what the network makes of it, as arrays of the self-test."""
    ports = (*facts.inputs, *facts.outputs)
    return tuple(
        ArrayFacts(f"known_{p.c_name}", p.ctype, p.length, "", 4, array_body(data))
        for p, data in zip(ports, (*inputs, *outputs), strict=True)
    )


def _call(symbol: str, arguments: list[str]) -> list[str]:
    """A statement in lines of at most 100 columns, continued under the first argument."""
    pieces = [f"{a}," for a in arguments[:-1]] + [f"{arguments[-1]});"]
    indent = " " * (len(symbol) + 1)
    first, *rest = fill(pieces, max(40, 95 - len(indent)))
    return [f"{symbol}({first}", *(f"    {indent}{line}" for line in rest)]


def _members(call: Call, arrays: Mapping[str, str], layout: Layout | None) -> list[str]:
    """The designated initializers, packed into lines; a commented one has its own line.

    What training changes is read from the blob of ``layout``, and its comment would not hold.
    """
    lines: list[str] = []
    plain: list[str] = []
    for member in call.fields:
        ctype = number_type(call.params_type, member.name) if layout else None
        if layout and ctype:
            plain.append(f".{member.name} = {_read(member, ctype, layout)},")
            continue
        text = f".{member.name} = {_value(member, arrays)},"
        if member.comment:
            lines += [*fill(plain), f"{text} /* {comment(member.comment)} */"]
            plain = []
        else:
            plain.append(text)
    return [*lines, *fill(plain)]


def _read(member: Field, ctype: str, layout: Layout) -> str:
    """A member whose value, or values, lie in the blob."""
    values = member.value if isinstance(member.value, tuple) else (member.value,)
    words = [f"({ctype})numbers[{layout.number(int(value))}]" for value in values]
    return "{" + ", ".join(words) + "}" if isinstance(member.value, tuple) else words[0]


def _single(port: PortFacts) -> tuple[float, float]:
    """Scale and zero of all of a port; zeros where it has none, or one for each channel."""
    return (port.scale or 0.0, port.offset or 0.0)


def _value(member: Field, arrays: Mapping[str, str]) -> str:
    if isinstance(member.value, str):
        return arrays[member.value]
    if isinstance(member.value, tuple):
        return "{" + ", ".join(literal(v) for v in member.value) + "}"
    return literal(member.value)


def _text(tensor: QTensor) -> str:
    return f"{shape_text(tensor.kind, tensor.shape)} {frac_text(tensor.frac, tensor.zero)}"


def _describe(name: str, tensor: QTensor) -> str:
    return f"{name} {_text(tensor)}"


def _title(step: Step, program: Program) -> str:
    """``y = conv2d(x)``."""
    data = [n for n in step.node.inputs if not program.qgraph.is_constant(n)]
    return f"{step.node.output} = {step.node.op}({', '.join(data)})"


def _numbers(step: Step, program: Program) -> str:
    """``s8[1,8,8,1] frac 7 -> s8[1,6,6,4] frac 4, 1296 MAC``."""
    tensors = program.qgraph.tensors
    data = [n for n in step.node.inputs if not program.qgraph.is_constant(n)]
    sources = ", ".join(_text(tensors[n]) for n in data)
    macs = f", {step.macs} MAC" if step.macs else ""
    return f"{sources} -> {_text(tensors[step.node.output])}{macs}"


def _row(placed: Placed, name: str, text: str) -> ArenaRow:
    buffer = placed.buffer
    last = "" if buffer.last == buffer.first else f"-{buffer.last + 1}"
    steps = f"{buffer.first + 1}{last}"
    return ArenaRow(placed.offset, buffer.size, steps, comment(name), text)
