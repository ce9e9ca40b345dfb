"""lstm: a whole sequence through long short-term memory cells. Weights (4H, I) and (4H, H) and
biases (4H,) in ONNX's order of gates, i, o, f, g; then h and c at the start. In integers, with the
rows and curves of ``recurrent``, c having frac fc <= 12, and h frac fh, 15 unless it starts beyond
+-1:

    c = sat16((f * c + ((i * g) >> (15 - fc)) + 2**14) >> 15)
    h = (o * tanh(sat16(c << (12 - fc))) + half) >> (30 - fh)
    y = sat(((h + half) >> out_shift) + out_zero)

|f * c + ...| <= 32767 * 32768 + 2**27 + 2**14 < 2**31.

C: mcuq_lstm_s8.c, mcuq_lstm_s16.c
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mcuq.fixed import IntArray, half
from mcuq.ir import Array, Graph, Node
from mcuq.ops.recurrent import cell as shared
from mcuq.ops.recurrent.curves import GATE_FRAC, along_curve
from mcuq.ops.spec import NO_CLIP, IntForm, OpSpec, Section, TorchTensor
from mcuq.qir import QGraph, QTensors
from mcuq.schema import Fields, whole

_GATES = 4


def _cells(node: Node, inputs: Sequence[TorchTensor]) -> Iterator[tuple[TorchTensor, TorchTensor]]:
    """State and cell after each step."""
    import torch

    x, w, r, b, h, c = inputs
    h, c = (shared.spread_start(start, len(x)) for start in (h, c))
    for step in shared.steps_of(node, x):
        z = torch.nn.functional.linear(step, w, b) + shared.from_state(h, r)
        i, o, f, g = shared.limited(node, z).chunk(_GATES, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        yield h, c


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """Every h, the last h, or the last c, as the attribute ``gives`` says."""
    place = 1 if node.attrs["gives"] == "cell" else 0
    return shared.stacked(node, inputs[0], [cell[place] for cell in _cells(node, inputs)])


def inside(node: Node, inputs: Sequence[TorchTensor]) -> Mapping[str, float]:
    """``peak``: the largest magnitude of c."""
    return {"peak": max(float(c.abs().max()) for _, c in _cells(node, inputs))}


def sections(node: Node, inputs: Sequence[TorchTensor]) -> tuple[Section, ...]:
    """All rows meet the input and the state."""
    return shared.one_section(node, inputs, [h for h, _ in _cells(node, inputs)])


def cell_frac(node: Node) -> int:
    """The frac of c; without calibration one that suits +-8."""
    return shared.frac_within(float(node.attrs.get("peak", 0.0)), GATE_FRAC)


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer node, its six constants and two tables."""
    x, output = acts[node.inputs[0]], acts[node.output]
    w, r = (shared.reals(graph, name, weights) for name in node.inputs[1:3])
    b, h, c = (graph.data(name) for name in node.inputs[3:])
    state, cell = shared.state_frac(node), cell_frac(node)
    n = shared.numbers(x, state)
    rows = shared.checked(graph, node, lambda: shared.rows_of(w, r, b, n))
    constants = (
        *shared.row_constants(node.output, rows),
        shared.state_constant(f"{node.output}.start", h, state),
        shared.state_constant(f"{node.output}.cell", c, cell),
        *shared.curve_constants(node.output, "sigmoid", "tanh"),
    )
    form = shared.output_form(graph, node, inner_frac(node), output)
    made = shared.int_node(node, constants, rows, form, cell_frac=cell, state_frac=state)
    return IntForm(made, constants)


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x, w, r, b, h, c, sigmoid, tanh) -> the kind of x."""
    x, w, r, b, start, cell_start, sigmoid, tanh = inputs
    frac, shift = node.int("cell_frac"), 30 - node.int("state_frac")
    cell = np.broadcast_to(cell_start.astype(np.int64), (len(x), len(cell_start)))

    def step(sums: IntArray, state: IntArray) -> tuple[IntArray, IntArray]:
        nonlocal cell
        z = shared.gates(node, sums + shared.products(state, r), b)
        zi, zo, zf, zg = np.split(z, _GATES, axis=-1)
        i, o, f = (along_curve(sigmoid, v) for v in (zi, zo, zf))
        added = (i * along_curve(tanh, zg)) >> (15 - frac)
        cell = np.clip((f * cell + added + 2**14) >> 15, -32768, 32767)
        seen = np.clip(cell << (GATE_FRAC - frac), -32768, 32767)
        state = (o * along_curve(tanh, seen) + half(shift)) >> shift
        return state, cell if node.attrs["gives"] == "cell" else state

    kind = qgraph.tensor(node.output).kind
    return shared.walk(node, kind, x, shared.input_sums(node, x, w), start, step)


def inner_frac(node: Node) -> int:
    """The frac of what the output is made of."""
    return cell_frac(node) if node.attrs["gives"] == "cell" else shared.state_frac(node)


def frac_limits(node: Node, fracs: Mapping[str, int], kind: str) -> tuple[tuple[str, int], ...]:
    """The output is not finer than what it is made of."""
    return ((node.output, inner_frac(node)),)


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Fracs and sums; the output is a state or a cell."""
    state, cell = node.int("state_frac"), node.int("cell_frac")
    yield from shared.sum_faults(node, qgraph, state, GATE_FRAC)
    inner = cell if node.attrs["gives"] == "cell" else state
    yield from shared.output_faults(node, qgraph, inner)


_CONSTANTS = ("start", "cell", "sigmoid", "tanh")
_CELL: Fields = {"cell_frac": whole(0, GATE_FRAC)}
OP = OpSpec(
    "lstm",
    ("LSTM",),
    shared.infer,
    run_float,
    to_int,
    run_int,
    limits=(shared.sequence,),
    macs=shared.macs,
    note="whole sequences, constant weights and start",
    bounds=lambda node: NO_CLIP,
    runs_s16=True,
    frac_limits=frac_limits,
    inside=inside,
    sections=sections,
    along=shared.along,
    schema=shared.schema({}, _CELL, _CONSTANTS, faults),
)
