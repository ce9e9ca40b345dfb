"""gru: a whole sequence through gated recurrent units. Weights (3H, I) and (3H, H) in ONNX's order
of gates, z, r, h; biases (6H,), those of the input's products and those of the state's; then h at
the start. In integers, with the rows and curves of ``recurrent``, h having frac fh, 15 unless it
starts beyond +-1, and xn and hn, rows of the input and of the state alone, a frac fn <= 12:

    n = tanh(clamp((xn * 2**15 + r * hn + half) >> (3 + fn), z_min, z_max))    after products
    n = tanh(a row of x and of (r * h + 2**14) >> 15)                          before products
    h = ((32768 - z) * ((n + half) >> (15 - fh)) + z * h + 2**14) >> 15
    y = sat(((h + half) >> out_shift) + out_zero)

``after``: the reset gate acts after the products of the state (ONNX's linear_before_reset).
|xn * 2**15 + r * hn| <= 2**30 + 32767 * 32768, and the new h lies between n and the old one.

C: mcuq_gru_s8.c, mcuq_gru_s16.c
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mcuq.fixed import IntArray, half, saturate
from mcuq.ir import Array, Graph, Node
from mcuq.ops.recurrent import cell as shared
from mcuq.ops.recurrent.cell import Rows
from mcuq.ops.recurrent.curves import GATE_FRAC, along_curve
from mcuq.ops.spec import NO_CLIP, IntForm, OpSpec, Section, TorchTensor
from mcuq.qir import QGraph, QTensor, QTensors
from mcuq.schema import Fields, flag, whole

_GATES = 3


def _cells(
    node: Node, inputs: Sequence[TorchTensor]
) -> Iterator[tuple[TorchTensor, TorchTensor, TorchTensor, TorchTensor]]:
    """The state after each step, what the input and the state give the candidate n, and what of
    the state before was kept by the reset gate.
    """
    import torch

    x, w, r, b, h = inputs
    input_bias, state_bias = b.chunk(2)
    weights, biases = r.chunk(_GATES, dim=-2), state_bias.chunk(_GATES)
    h = shared.spread_start(h, len(x))
    linear, from_state = torch.nn.functional.linear, shared.from_state
    for step in shared.steps_of(node, x):
        xz, xr, xn = linear(step, w, input_bias).chunk(_GATES, dim=-1)
        z = shared.limited(node, xz + from_state(h, weights[0], biases[0])).sigmoid()
        reset = shared.limited(node, xr + from_state(h, weights[1], biases[1])).sigmoid()
        kept = reset * h
        if node.attrs["after"]:
            hn = from_state(h, weights[2], biases[2])
            n = shared.limited(node, xn + reset * hn).tanh()
        else:
            hn = from_state(kept, weights[2], biases[2])
            n = shared.limited(node, xn + hn).tanh()
        h = (1 - z) * n + z * h
        yield h, xn, hn, kept


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """Every h or the last one, as the attribute ``gives`` says."""
    return shared.stacked(node, inputs[0], [cell[0] for cell in _cells(node, inputs)])


def inside(node: Node, inputs: Sequence[TorchTensor]) -> Mapping[str, float]:
    """``peak``: the largest magnitude of what n is made of."""
    parts = (part for _, xn, hn, _ in _cells(node, inputs) for part in (xn, hn))
    return {"peak": max(float(part.abs().max()) for part in parts)}


def sections(node: Node, inputs: Sequence[TorchTensor]) -> tuple[Section, ...]:
    """Rows of z and r; those of n meet both too, if the reset gate acts on the state."""
    import torch

    cells = list(_cells(node, inputs))
    x, before = shared.together(node, inputs, [h for h, *_ in cells])
    rows = len(inputs[1])
    at = 2 * rows // _GATES
    gates, n = slice(0, at), slice(at, rows)
    if node.attrs["after"]:
        behind = slice(rows + at, 2 * rows)
        return (
            Section(gates, gates, x, before),
            Section(n, n, x, None),
            Section(n, behind, None, before),
        )
    kept = torch.cat([kept for *_, kept in cells])
    return Section(gates, gates, x, before), Section(n, n, x, kept)


def candidate_frac(node: Node) -> int:
    """The frac of xn and hn; without calibration one that suits +-16."""
    return shared.frac_within(float(node.attrs.get("peak", 16.0)), GATE_FRAC)


def _rows(node: Node, graph: Graph, x: QTensor, weights: QTensors) -> Rows:
    """Rows of z, r and n; with ``after`` these are of xn, and biases and shifts of hn follow."""
    w, r = (shared.reals(graph, name, weights) for name in node.inputs[1:3])
    b = graph.data(node.inputs[3])
    whole = shared.numbers(x, shared.state_frac(node))
    input_bias, state_bias = np.split(b, 2)
    both = input_bias + state_bias
    if not node.attrs["after"]:
        return shared.rows_of(w, r, both, whole)
    part, at = shared.numbers(x, whole.state, candidate_frac(node)), 2 * len(w) // _GATES
    gates = shared.rows_of(w[:at], r[:at], both[:at], whole)
    xn = shared.rows_of(w[at:], np.zeros((len(w) - at, 0)), input_bias[at:], part)
    hn = shared.rows_of(np.zeros((len(r) - at, 0)), r[at:], state_bias[at:], part)
    return Rows(
        np.concatenate([gates.input, xn.input]),
        np.concatenate([gates.state, hn.state]),
        np.concatenate([gates.bias, xn.bias, hn.bias]),
        np.concatenate([gates.left, xn.left]),
        np.concatenate([gates.right, xn.right, hn.right]),
        np.concatenate([gates.input_fracs, xn.input_fracs]),
        np.concatenate([gates.state_fracs, hn.state_fracs]),
        np.concatenate([gates.fracs, xn.fracs, hn.fracs]),
    )


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer node, its four constants and two tables."""
    x, output, state = acts[node.inputs[0]], acts[node.output], shared.state_frac(node)
    rows = shared.checked(graph, node, lambda: _rows(node, graph, x, weights))
    constants = (
        *shared.row_constants(node.output, rows),
        shared.state_constant(f"{node.output}.start", graph.data(node.inputs[4]), state),
        *shared.curve_constants(node.output, "sigmoid", "tanh"),
    )
    form = shared.output_form(graph, node, state, output)
    more = {"state_frac": state, "candidate_frac": candidate_frac(node)}
    made = shared.int_node(node, constants, rows, form, after=bool(node.attrs["after"]), **more)
    return IntForm(made, constants)


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x, w, r, b, h, sigmoid, tanh) -> the kind of x."""
    x, w, r, b, start, sigmoid, tanh = inputs
    hidden = len(start)
    down = 15 - node.int("state_frac")
    candidate = _after if node.attrs["after"] else _before

    def step(sums: IntArray, state: IntArray) -> tuple[IntArray, IntArray]:
        both = sums[:, : 2 * hidden] + shared.products(state, r[: 2 * hidden])
        z, reset = np.split(along_curve(sigmoid, shared.gates(node, both, b)), 2, axis=-1)
        n = candidate(node, sums[:, 2 * hidden :], state, reset, r[2 * hidden :], b)
        n = (along_curve(tanh, n) + half(down)) >> down
        state = ((32768 - z) * n + z * state + 2**14) >> 15
        return state, state

    kind = qgraph.tensor(node.output).kind
    return shared.walk(node, kind, x, shared.input_sums(node, x, w), start, step)


def _after(
    node: Node, sums: IntArray, state: IntArray, reset: IntArray, r: Array, b: Array
) -> IntArray:
    """The pre-activation of n, the reset gate acting on finished products."""
    hidden = len(r)
    xn = _candidate(node, sums, b, 2 * hidden)
    hn = _candidate(node, shared.products(state, r), b, 3 * hidden)
    shift = 3 + node.int("candidate_frac")
    n = (xn * 2**15 + reset * hn + half(shift)) >> shift
    return shared.within(node, n)


def _candidate(node: Node, sums: IntArray, b: Array, first: int) -> IntArray:
    """Sums of the rows from ``first`` on, shifted, with 16 bits."""
    rows = slice(first, first + sums.shape[-1])
    shifted = (sums + b[rows]) >> np.array(node.ints("right")[rows], np.int64)
    return saturate(shifted, "s16").astype(np.int64)


def _before(
    node: Node, sums: IntArray, state: IntArray, reset: IntArray, r: Array, b: Array
) -> IntArray:
    """The pre-activation of n, the reset gate acting on the state."""
    kept = (reset * state + 2**14) >> 15
    return shared.gates(node, sums + shared.products(kept, r), b, 2 * len(r))


def frac_limits(node: Node, fracs: Mapping[str, int], kind: str) -> tuple[tuple[str, int], ...]:
    """The output is not finer than the state."""
    return ((node.output, shared.state_frac(node)),)


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Fracs and sums; the output is a state."""
    state, after = node.int("state_frac"), bool(node.attrs["after"])
    split = 2 * qgraph.tensors[node.inputs[2]].shape[1] if after else None
    yield from shared.sum_faults(node, qgraph, state, GATE_FRAC, split)
    yield from shared.output_faults(node, qgraph, state)


_CONSTANTS = ("start", "sigmoid", "tanh")
_CANDIDATE: Fields = {"after": flag, "candidate_frac": whole(0, GATE_FRAC)}
OP = OpSpec(
    "gru",
    ("GRU",),
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
    schema=shared.schema({"after": flag}, _CANDIDATE, _CONSTANTS, faults),
)
