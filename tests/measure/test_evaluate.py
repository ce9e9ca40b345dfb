import numpy as np
import pytest
from small_networks import Net, images, residual_network

from mcuq.errors import DataError
from mcuq.ir import Graph
from mcuq.measure.evaluate import evaluate, sqnr
from mcuq.quantize import Options, quantize
from mcuq.reference import run_float

FAST = Options(effort="fast")


def vectors(rows: int) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 1, (rows, 6)).astype(np.float32)


def test_top1_and_agreement() -> None:
    graph = residual_network()
    feeds = {"x": images(64)}
    qgraph = quantize(graph, feeds, FAST)
    truth = run_float(graph, feeds)["classes"].argmax(axis=1)
    result = evaluate(graph, qgraph, feeds, truth)
    assert result.samples == 64
    assert result.float_top1 == 1.0
    assert result.int8_top1 == result.agreement
    assert evaluate(graph, qgraph, feeds, (truth + 1) % 5).float_top1 == 0.0


def test_sqnr_is_of_the_logits() -> None:
    net = Net((1, 6))
    scores = net.dense("x", 4)
    with_softmax = net.graph(net.node("softmax", scores))
    without = Graph(
        "net", with_softmax.inputs, net.graph(scores).outputs, with_softmax.nodes[:1],
        with_softmax.tensors,
    )  # fmt: skip
    feeds = {"x": vectors(64)}
    results = [evaluate(g, quantize(g, feeds, FAST), feeds) for g in (with_softmax, without)]
    assert results[0].sqnr_db == results[1].sqnr_db


def test_one_sigmoid_is_two_classes() -> None:
    net = Net((1, 6))
    graph = net.graph(net.node("sigmoid", net.dense("x", 1)))
    feeds = {"x": vectors(64)}
    truth = (run_float(graph, feeds)["sigmoid_1"][:, 0] > 0.5).astype(int)
    assert evaluate(graph, quantize(graph, feeds, FAST), feeds, truth).float_top1 == 1.0


def test_no_classes_in_an_image() -> None:
    net = Net((1, 8, 8, 3))
    graph = net.graph(net.conv("x", 2))
    qgraph = quantize(graph, {"x": images(16)}, FAST)
    result = evaluate(graph, qgraph, {"x": images(16)})
    assert (result.agreement, result.float_top1) == (None, None)
    with pytest.raises(DataError, match="not a class per row"):
        evaluate(graph, qgraph, {"x": images(16)}, np.zeros(16))


def test_label_faults() -> None:
    graph = residual_network()
    feeds = {"x": images(16)}
    qgraph = quantize(graph, feeds, FAST)
    with pytest.raises(DataError, match="class 5 where the network has 5"):
        evaluate(graph, qgraph, feeds, np.full(16, 5))
    with pytest.raises(DataError, match="3 labels for 16 rows"):
        evaluate(graph, qgraph, feeds, np.zeros(3))


def test_sqnr_of_equal_and_of_silent() -> None:
    assert sqnr(np.ones(3), np.ones(3)) == float("inf")
    assert sqnr(np.zeros(3), np.ones(3)) == float("-inf")
