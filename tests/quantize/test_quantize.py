import math

import numpy as np
import pytest
from small_networks import NO_CLIP, RELU, Net, images, residual_network

from mcuq.errors import DataError, McuqError, ModelError
from mcuq.ir import Graph
from mcuq.measure.evaluate import evaluate, sqnr
from mcuq.qir import QGraph
from mcuq.quantize import Options, quantize, quantize_report
from mcuq.quantize.ranges.scales import minmax_frac, weight_fracs
from mcuq.quantize.structure import groups, never_negative
from mcuq.reference import feeds_to_float, feeds_to_int, run_float, run_int

FAST = Options(effort="fast")


def vectors(rows: int, features: int = 6, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (rows, features)).astype(np.float32)


def noise_db(graph: Graph, qgraph: QGraph, feeds: dict[str, np.ndarray], name: str) -> float:
    exact = run_float(graph, feeds_to_float(graph, feeds), {name})[name]
    integers = run_int(qgraph, feeds_to_int(qgraph, feeds), {name})[name]
    tensor = qgraph.tensor(name)
    return sqnr(exact, (integers.astype(float) - tensor.zero) * 2.0**-tensor.frac)


@pytest.mark.parametrize("ranges", ["minmax", "mse"])
def test_integer_network_follows_the_float_one(ranges: str) -> None:
    graph = residual_network()
    qgraph = quantize(graph, {"x": images(64)}, Options("fast", ranges))
    result = evaluate(graph, qgraph, {"x": images(64, seed=2)})
    assert result.sqnr_db > 25
    assert result.agreement is not None
    assert result.agreement > 0.9


@pytest.mark.parametrize(
    ("low", "high", "zero", "frac"),
    [
        (-1.0, 127 / 128, 0, 7),
        (-1.0, 1.0, 0, 6),
        (-2.0, 0.0, 0, 6),
        (0.0, 255.0, -128, 0),
        (0.0, 256.0, -128, -1),
        (0.0, 1e-30, 0, 48),
        (-1e30, 1e30, 0, -40),
    ],
)
def test_minmax_frac(low: float, high: float, zero: int, frac: int) -> None:
    assert minmax_frac(low, high, zero) == frac


def test_zero_is_minus_128_where_never_negative_else_in_the_middle() -> None:
    graph = residual_network()
    qgraph = quantize(graph, {"x": images(32)}, FAST)
    zeros = {n.op: qgraph.tensor(n.output).zero for n in qgraph.nodes}
    assert zeros["depthwise_conv2d"] == -128
    assert -64 < zeros["add"] < 64
    assert -64 < zeros["dense"] < 64
    assert zeros["softmax"] == -128
    assert qgraph.tensor("classes").frac == 8


def test_never_negative_through_scale_keepers() -> None:
    net = Net((1, 4, 4, 2))
    a = net.conv("x", 4)
    pooled = net.node(
        "max_pool2d", a, kernel=(2, 2), strides=(2, 2), dilations=(1, 1), pads=(0,) * 4
    )
    padded = net.node("pad", pooled, pads=((0, 0), (1, 1), (0, 0), (0, 0)), value=(-1.0,))
    graph = net.graph(padded)
    assert never_negative(graph) == {a, pooled}
    assert (a, pooled, padded) in groups(graph)


def test_mse_clips_outliers() -> None:
    net = Net((1, 6))
    graph = net.graph(net.node("clip", "x", low=-math.inf, high=math.inf, name="y"))
    x = vectors(500)
    x[0, 0] = 5.0
    fracs = [
        quantize(graph, {"x": x}, Options("fast", ranges)).tensor("x").frac
        for ranges in ("minmax", "mse")
    ]
    assert fracs == [4, 5]


def test_weights_of_each_channel_have_their_own_frac() -> None:
    weights = np.array([[1.0, -0.9], [0.01, 0.02], [0.0, 0.0]], np.float32)
    assert weight_fracs(weights, 0, 0) == (6, 12, 7)


def test_byte_input() -> None:
    graph = residual_network("u8")
    raw = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3)).astype(np.uint8)
    qgraph = quantize(graph, {"x": raw}, FAST)
    assert (qgraph.inputs[0].kind, qgraph.tensor("x").kind) == ("u8", "u8")
    assert qgraph.nodes[0].op == "from_u8"
    assert (qgraph.inputs[0].scale, qgraph.inputs[0].offset) == ((1.0,), (0.0,))
    assert evaluate(graph, qgraph, {"x": raw}).sqnr_db > 25


@pytest.mark.parametrize(
    ("values", "pads"), [((110.0, 120.0, 130.0), 1), ((110.1, 110.2, 110.3), 0)]
)
def test_padding_per_channel(values: tuple[float, ...], pads: int) -> None:
    net = Net((1, 8, 8, 3), "u8")
    graph = net.graph(net.conv("x", 4, pad_value=values, clip=NO_CLIP))
    raw = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3)).astype(np.uint8)
    qgraph = quantize(graph, {"x": raw}, FAST)
    assert [n.op for n in qgraph.nodes].count("pad") == pads
    assert evaluate(graph, qgraph, {"x": raw}).sqnr_db > 30


def test_concat_inputs_share_the_scale_or_are_requantized() -> None:
    net = Net((1, 6))
    small = net.dense("x", 3)
    large = net.node("mul", net.dense("x", 3), net.constant("c", 50.0), clip=NO_CLIP)
    joined = net.node("concat", small, large, axis=1)
    graph = net.graph(joined, net.dense(small, 2))
    qgraph = quantize(graph, {"x": vectors(64)}, FAST)
    concat = next(n for n in qgraph.nodes if n.op == "concat")
    fracs = {qgraph.tensor(n).frac for n in (*concat.inputs, *concat.outputs)}
    assert len(fracs) == 1
    assert qgraph.tensor(small).frac > fracs.pop()


def test_what_a_concat_joins_after_a_movement_keeps_its_scale_for_others() -> None:
    """As a detector's boxes beside its classes, both from one sigmoid."""
    net = Net((1, 8))
    shares = net.node("sigmoid", net.dense("x", 8))
    part = {"shape": (1, 4), "sizes": (4,), "strides": (1,)}
    first = net.node("copy", shares, places=(0,), **part)
    second = net.node("copy", shares, places=(4,), **part)
    large = net.node("mul", second, net.constant("c", 200.0), clip=NO_CLIP)
    joined = net.node("concat", first, large, axis=1)
    graph = net.graph(net.dense(joined, 2))
    qgraph = quantize(graph, {"x": vectors(64, 8)}, FAST)
    assert noise_db(graph, qgraph, {"x": vectors(64, 8)}, joined) > 40
    assert qgraph.tensor(joined).frac == 0
    assert qgraph.tensor(shares).frac == 8


def test_softmax_in_a_concat() -> None:
    net = Net((1, 6))
    graph = net.graph(
        net.node("concat", net.node("softmax", "x"), net.dense("x", 3), axis=1, name="y")
    )
    qgraph = quantize(graph, {"x": vectors(64)}, FAST)
    assert noise_db(graph, qgraph, {"x": vectors(64)}, "y") > 30


def test_argmax_output_is_s32() -> None:
    net = Net((1, 6))
    graph = net.graph(net.node("argmax", net.dense("x", 4), name="y"))
    qgraph = quantize(graph, {"x": vectors(64)}, FAST)
    result = evaluate(graph, qgraph, {"x": vectors(64)})
    assert qgraph.outputs[0].kind == "s32"
    assert result.agreement is not None
    assert result.agreement > 0.9


def test_forced_frac() -> None:
    graph = residual_network()
    options = Options("fast", fracs={"total": 2})
    assert quantize(graph, {"x": images(32)}, options).tensor("total").frac == 2
    with pytest.raises(McuqError, match="no activation 'nothing'"):
        quantize(graph, {"x": images(32)}, Options(fracs={"nothing": 2}))


def test_huge_weights_with_tiny_outputs_lower_the_output_frac() -> None:
    net = Net((1, 2))
    w = net.constant("w", [[1000.0, -1000.0]])
    y = net.node("dense", "x", w, net.constant("b", [0.0]), clip=NO_CLIP, name="y")
    x = np.repeat(vectors(64, 1), 2, 1)
    x[:, 1] += 1e-5
    qgraph = quantize(net.graph(y), {"x": x}, FAST)
    assert min(qgraph.nodes[0].ints("shift")) >= 0


def test_dead_layer_is_reported() -> None:
    net = Net((1, 6))
    dead = net.dense("x", 4, clip=RELU)
    net.constant("b0", [-1000.0] * 4)
    graph = net.graph(net.dense(dead, 2))
    done = quantize_report(graph, {"x": vectors(32)}, FAST)
    assert done.warnings[-1] == f"layer '{dead}' gives 0 for every calibration row"
    run_int(done.qgraph, feeds_to_int(done.qgraph, {"x": vectors(4)}))


def test_useless_calibration() -> None:
    graph = residual_network()
    with pytest.raises(DataError, match="Pass --calibration"):
        quantize(graph, {})
    with pytest.raises(DataError, match="constant"):
        quantize(graph, {"x": np.zeros((9, 8, 8, 3), np.float32)})
    assert "has 1 row" in quantize_report(graph, {"x": images(1)}, FAST).warnings[0]


def test_overflowing_network() -> None:
    net = Net((1, 6))
    graph = net.graph(net.node("mul", "x", net.constant("c", 1e38), clip=NO_CLIP))
    with pytest.raises(ModelError, match="becomes infinite or NaN"):
        quantize(graph, {"x": vectors(8) * 1e3})


@pytest.mark.parametrize(
    ("op", "attrs"), [("reciprocal", {"numerator": 1.0}), ("power", {"exponent": -2.0})]
)
def test_division_by_both_signs(op: str, attrs: dict[str, float]) -> None:
    net = Net((1, 6))
    graph = net.graph(net.node(op, "x", **attrs))
    with pytest.raises(ModelError, match="divides by values on both sides of 0"):
        quantize(graph, {"x": vectors(8)})
    quantize(graph, {"x": np.abs(vectors(8)) + 0.5})


def test_deterministic() -> None:
    graph = residual_network()
    a, b = (quantize(graph, {"x": images(32)}) for _ in range(2))
    assert a.nodes == b.nodes
    assert all(
        np.array_equal(t.data, b.tensors[n].data)
        for n, t in a.tensors.items()
        if t.data is not None
    )


def test_operands_of_very_different_size() -> None:
    net = Net((1, 6))
    tiny = net.node("mul", "x", net.constant("c", 1e-6), clip=NO_CLIP)
    huge = net.node("mul", "x", net.constant("d", 1e4), clip=NO_CLIP)
    y = net.node("add", tiny, huge, clip=NO_CLIP)
    graph = net.graph(y, net.node("mul", tiny, tiny, clip=NO_CLIP))
    qgraph = quantize(graph, {"x": vectors(64)}, FAST)
    assert noise_db(graph, qgraph, {"x": vectors(64)}, y) > 30
