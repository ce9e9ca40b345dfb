"""rnn: a whole sequence through simple recurrent units, h = act(w x + r h + b). Weights (H, I) and
(H, H), biases (H,), then h at the start. ``activation``: "tanh", "sigmoid" or "relu". In integers a
row of ``recurrent`` for each h: along a curve, or for relu with the frac of the state and kept from
below 0:

    y = sat(((h + half) >> out_shift) + out_zero)

C: mcuq_rnn_s8.c, mcuq_rnn_s16.c
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mcuq.fixed import IntArray, half
from mcuq.ir import Array, Graph, Node
from mcuq.ops.recurrent import cell as shared
from mcuq.ops.recurrent.curves import GATE_FRAC, along_curve
from mcuq.ops.spec import NO_CLIP, Bounds, IntForm, OpSpec, Section, TorchTensor
from mcuq.qir import QGraph, QTensors
from mcuq.schema import Fields, choice

ACTIVATIONS = ("tanh", "sigmoid", "relu")


def _cells(node: Node, inputs: Sequence[TorchTensor]) -> Iterator[TorchTensor]:
    """The state after each step."""
    import torch

    x, w, r, b, h = inputs
    act = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": torch.relu}
    h = shared.spread_start(h, len(x))
    for step in shared.steps_of(node, x):
        z = torch.nn.functional.linear(step, w, b) + shared.from_state(h, r)
        h = act[node.attrs["activation"]](shared.limited(node, z))
        yield h


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """Every h or the last one, as the attribute ``gives`` says."""
    return shared.stacked(node, inputs[0], list(_cells(node, inputs)))


def inside(node: Node, inputs: Sequence[TorchTensor]) -> Mapping[str, float]:
    """``peak``: the largest magnitude of h, also at the start."""
    start = float(inputs[4].abs().max())
    return {"peak": max(start, *(float(h.abs().max()) for h in _cells(node, inputs)))}


def sections(node: Node, inputs: Sequence[TorchTensor]) -> tuple[Section, ...]:
    """All rows meet the input and the state."""
    return shared.one_section(node, inputs, list(_cells(node, inputs)))


def state_frac(node: Node) -> int:
    """The frac of h; where nothing bounds it and no calibration was seen, one that suits +-128."""
    if node.attrs["activation"] != "relu":
        return shared.state_frac(node)
    return shared.frac_within(float(node.attrs.get("peak", 128.0)), shared.STATE_FRAC)


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer node, its four constants and a table, which relu does not use."""
    x, output, state = acts[node.inputs[0]], acts[node.output], state_frac(node)
    w, r = (shared.reals(graph, name, weights) for name in node.inputs[1:3])
    b, start = (graph.data(name) for name in node.inputs[3:])
    curve = str(node.attrs["activation"])
    gate = state if curve == "relu" else GATE_FRAC
    n = shared.numbers(x, state, gate)
    rows = shared.checked(graph, node, lambda: shared.rows_of(w, r, b, n))
    constants = (
        *shared.row_constants(node.output, rows),
        shared.state_constant(f"{node.output}.start", start, state),
        *shared.curve_constants(node.output, shared.curve_of(node, "activation")),
    )
    form = shared.output_form(graph, node, state, output)
    made = shared.int_node(node, constants, rows, form, state_frac=state, activation=curve)
    if curve == "relu":
        most = shared.gate_range(node, state)[1]
        made = made.with_attrs(z_min=0, z_max=most)
    return IntForm(made, constants)


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x, w, r, b, h, the curve's table) -> the kind of x."""
    x, w, r, b, start, curve = inputs
    down = 15 - node.int("state_frac")

    def step(sums: IntArray, state: IntArray) -> tuple[IntArray, IntArray]:
        state = shared.gates(node, sums + shared.products(state, r), b)
        if node.attrs["activation"] != "relu":
            state = (along_curve(curve, state) + half(down)) >> down
        return state, state

    kind = qgraph.tensor(node.output).kind
    return shared.walk(node, kind, x, shared.input_sums(node, x, w), start, step)


def bounds(node: Node) -> Bounds:
    """Those of the activation."""
    return (-1.0, 1.0) if node.attrs["activation"] == "tanh" else (0.0, NO_CLIP[1])


def frac_limits(node: Node, fracs: Mapping[str, int], kind: str) -> tuple[tuple[str, int], ...]:
    """The output is not finer than the state."""
    return ((node.output, state_frac(node)),)


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Fracs and sums; the output is a state."""
    state, linear = node.int("state_frac"), node.attrs["activation"] == "relu"
    yield from shared.sum_faults(node, qgraph, state, state if linear else GATE_FRAC)
    yield from shared.output_faults(node, qgraph, state)


_ACTIVATION: Fields = {"activation": choice(ACTIVATIONS)}
_CONSTANTS = ("start", "activation")
_SCHEMA = shared.schema(_ACTIVATION, _ACTIVATION, _CONSTANTS, faults)
OP = OpSpec(
    "rnn",
    ("RNN",),
    shared.infer,
    run_float,
    to_int,
    run_int,
    limits=(shared.sequence,),
    macs=shared.macs,
    note="whole sequences, constant weights and start",
    bounds=bounds,
    runs_s16=True,
    frac_limits=frac_limits,
    inside=inside,
    sections=sections,
    along=shared.along,
    schema=_SCHEMA,
)
