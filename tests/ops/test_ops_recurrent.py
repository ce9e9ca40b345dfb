"""Recurrent layers in integers: curves, rows that fit 32 bits, one step by hand, their accuracy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_networks import Net

from mcuq.errors import ModelError
from mcuq.fixed import FloatArray
from mcuq.ir import Graph
from mcuq.measure.evaluate import evaluate
from mcuq.ops import spec, validate
from mcuq.ops.recurrent import cell as recurrent
from mcuq.ops.recurrent.curves import along_curve, points
from mcuq.qir import QGraph
from mcuq.quantize import Options, quantize

GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def layer(op: str, size: tuple[int, int, int], gain: float = 1.0, start: float = 0.0,
          **attrs: Any) -> Graph:  # fmt: skip
    """One layer of (steps, inputs, units), whose weights have ``gain`` times the usual size."""
    steps, inputs, units = size
    net = Net((1, 1, steps, inputs), seed=units)
    rows, bound = GATES[op] * units, gain * units**-0.5
    shapes = [(rows, inputs), (rows, units), ((2 if op == "gru" else 1) * rows,)]
    names = [
        net.constant(name, net.random.uniform(-bound, bound, shape))
        for name, shape in zip("wrb", shapes, strict=True)
    ]
    names += [net.constant(name, np.full(units, start)) for name in ("hc" if op == "lstm" else "h")]
    found = {"gives": "all", "reverse": False, **attrs}
    return net.graph(net.node(op, "x", *names, **found), name=op)


def data(steps: int, inputs: int, rows: int = 24, seed: int = 0) -> dict[str, FloatArray]:
    chance = np.random.default_rng(seed)
    return {"x": chance.normal(size=(rows, 1, steps, inputs)).astype(np.float32)}


def quantized(graph: Graph, bits: int = 8) -> QGraph:
    _, _, steps, inputs = graph.shape("x")
    return quantize(graph, data(steps, inputs), Options("fast", bits={"*": bits}))


@pytest.mark.parametrize(
    ("curve", "z", "wanted"),
    [
        ("sigmoid", 0, 16384),
        ("sigmoid", 127, 16638),
        ("sigmoid", -128, 16128),
        ("sigmoid", 32767, 32757),
        ("sigmoid", -32768, 11),
        ("tanh", 0, 0),
        ("tanh", 64, 512),
        ("tanh", -64, -512),
        ("tanh", 1, 8),
        ("tanh", 32767, 32767),
        ("tanh", -32768, -32767),
    ],
)
def test_a_curve_at_a_value(curve: str, z: int, wanted: int) -> None:
    assert along_curve(points(curve), np.array([z])) == wanted


@pytest.mark.parametrize(("curve", "function", "most"), [
    ("sigmoid", lambda x: 1 / (1 + np.exp(-x)), 1.3), ("tanh", np.tanh, 3.8),
])  # fmt: skip
def test_a_curve_is_near_its_function(curve: str, function: Any, most: float) -> None:
    """In steps of 2**-15, over all values; a step of z is 8 of them."""
    z = np.arange(-32768, 32768)
    found = along_curve(points(curve), z)
    assert np.abs(found - function(z / 4096) * 32768).max() < most
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("gain", [0.0, 1e-4, 0.1, 1.0, 30.0, 900.0])
@pytest.mark.parametrize("bias", [0.0, 3.0, 5000.0])
@pytest.mark.parametrize("peak", [128, 32768])
def test_sums_of_rows_fit_and_are_near(gain: float, bias: float, peak: int) -> None:
    chance = np.random.default_rng(0)
    w, r = (gain * chance.uniform(-1, 1, (8, n)) for n in (6, 5))
    frac = 4 if peak == 128 else 12
    n = recurrent.Numbers(frac, 3, peak, 15)
    rows = recurrent.rows_of(w, r, np.full(8, bias), n)
    of_x = peak * np.abs(rows.input.astype(int)).sum(1) << rows.left
    of_h = 32768 * np.abs(rows.state.astype(int)).sum(1)
    assert (np.abs(rows.bias.astype(int)) + of_x + of_h < 2**31).all()
    q, h = chance.integers(-peak, peak, 6), chance.integers(-32768, 32768, 5)
    sums = (rows.input.astype(int) @ q << rows.left) + rows.state.astype(int) @ h + rows.bias
    real = w @ ((q - 3) / 2.0**frac) + r @ (h / 32768) + bias
    # Each weight is within half a step, of 127 in its row's largest; z within half of 1 / 4096.
    room = np.abs(w).max() / 63 * np.abs(q - 3).sum() / 2.0**frac + np.abs(r).max() / 63 * 5 + 1e-3
    assert (np.abs((sums >> rows.right) / 4096 - real) <= room + 0.001 * bias).all()


def test_weights_beyond_all_gates_are_refused() -> None:
    graph = layer("lstm", (2, 3, 4), gain=1e4)
    with pytest.raises(ModelError, match="too large for the sums of a gate"):
        quantized(graph)


def test_a_step_of_lstm_by_hand() -> None:
    """One unit whose rows give z = 4096, 0, -4096, 8192 from biases alone."""
    net = Net((1, 1, 1, 1))
    names = [net.constant("w", np.zeros((4, 1))), net.constant("r", np.zeros((4, 1)))]
    names.append(net.constant("b", np.array([1.0, 0.0, -1.0, 2.0])))
    names += [net.constant("h", [0.0]), net.constant("c", [0.5])]
    attrs = {"gives": "all", "reverse": False, "peak": 1.0}
    graph = net.graph(net.node("lstm", "x", *names, **attrs), name="one")
    qgraph = quantize(graph, data(1, 1), Options("fast", fracs={"lstm_0": 15}, bits={"*": 16}))
    node = qgraph.nodes[-1]
    assert node.int("cell_frac") == 12
    i, o, f, g = 23955, 16384, 8813, 31589  # the curves at 1, 0, -1 and 2
    cell = (f * 2048 + ((i * g) >> 3) + 2**14) >> 15
    tanh = int(along_curve(points("tanh"), np.array([cell]))[0])
    wanted = (o * tanh + 2**14) >> 15
    found = spec("lstm").run_int
    assert found is not None
    constants = [qgraph.data(name) for name in node.inputs[1:]]
    assert found(node, qgraph, [np.zeros((1, 1, 1, 1), np.int16), *constants]) == wanted


@pytest.mark.parametrize(("bits", "least"), [(8, 33.0), (16, 42.0)])
@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("lstm", {}),
        ("lstm", {"gives": "cell"}),
        ("lstm", {"gives": "last", "reverse": True}),
        ("gru", {"after": True}),
        ("gru", {"after": False}),
        ("rnn", {"activation": "tanh"}),
        ("rnn", {"activation": "relu"}),
        ("rnn", {"activation": "sigmoid"}),
    ],
)
def test_integers_are_near_to_float(
    op: str, attrs: dict[str, Any], bits: int, least: float
) -> None:
    graph = layer(op, (16, 10, 12), **attrs)
    found = evaluate(graph, quantized(graph, bits), data(16, 10, 32, seed=5))
    assert found.sqnr_db > least


@pytest.mark.parametrize(("op", "least"), [("lstm", 33.0), ("gru", 33.0)])
def test_long_sequences_do_not_drift(op: str, least: float) -> None:
    graph = layer(op, (150, 4, 8), 1.5, gives="last", **({"after": True} if op == "gru" else {}))
    found = evaluate(graph, quantized(graph), data(150, 4, 24, seed=5))
    assert found.sqnr_db > least


def test_cells_get_the_range_that_calibration_saw() -> None:
    """Forget gates near 1 let cells grow: with the frac of +-8 they would be cut off."""
    graph = layer("lstm", (60, 2, 4))
    bias = np.repeat([4.0, 4.0, 8.0, 2.0], 4).astype(np.float32)
    tensors = {**graph.tensors, "b": replace(graph.tensors["b"], data=bias)}
    graph = replace(graph, tensors=tensors)
    made = quantized(graph)
    assert made.nodes[-1].int("cell_frac") == 8
    assert evaluate(graph, made, data(60, 2, 32, seed=1)).sqnr_db > 33


@pytest.mark.parametrize("op", ["lstm", "gru", "rnn"])
def test_states_start_beyond_one(op: str) -> None:
    more = {"gru": {"after": True}, "rnn": {"activation": "relu"}}.get(op, {})
    graph = layer(op, (6, 3, 4), start=1.5, state_frac=14, **more)
    assert evaluate(graph, quantized(graph), data(6, 3, 32, seed=1)).sqnr_db > 28


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"out_shift": 3}, "out_shift is 3"),
        ({"cell_frac": 13}, "an integer in 0..12"),
        ({"left": (0,) * 16}, "left is not what the input lacks"),
        ({"right": (5,) * 16}, "right is not what leads"),
        ({"left": (40,) * 16}, "an integer in 0..24"),
        ({"left": (1,)}, "not one for each row"),
        ({"z_min": 5, "z_max": 1}, "z_min is above z_max"),
        ({"gives": "some"}, "one of all, last, cell"),
    ],
)
def test_numbers_that_do_not_follow_are_found(change: dict[str, Any], fault: str) -> None:
    made = quantized(layer("lstm", (3, 2, 4)))
    assert list(validate.integer_problems(made)) == []
    changed = replace(made, nodes=(*made.nodes[:-1], made.nodes[-1].with_attrs(**change)))
    assert fault in next(iter(validate.integer_problems(changed)))


def test_constants_that_do_not_follow_are_found() -> None:
    made = quantized(layer("gru", (3, 2, 4), after=True))
    for name, change, fault in (
        ("gru_0.tanh", 2, "its table is not that of tanh"),
        ("gru_0.bias", 2**30, "its sums do not fit 32 bits"),
    ):
        tensor = made.tensors[name]
        assert tensor.data is not None
        data = (tensor.data // 2 + change).astype(tensor.data.dtype)
        changed = replace(made, tensors={**made.tensors, name: replace(tensor, data=data)})
        assert fault in next(iter(validate.integer_problems(changed)))
