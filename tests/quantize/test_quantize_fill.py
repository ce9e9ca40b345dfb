"""Factors of channels for tensors of 16 bits, at which 8-bit weights are rounded finest."""

from collections.abc import Callable

import numpy as np
import pytest
from small_networks import Net, images, residual_network
from test_quantize_steps import started, uneven_network

from mcuq.ir import Graph
from mcuq.measure.evaluate import evaluate
from mcuq.quantize import Options, quantize
from mcuq.quantize.equalize.components import components
from mcuq.quantize.equalize.fill import fill_weights, step_of
from mcuq.quantize.ranges.scales import choose_weights
from mcuq.quantize.state import State
from mcuq.reference import run_float


def filled(graph: Graph) -> tuple[State, State]:
    """A state before and after, with weights rounded anew."""
    state = started(graph, {"x": images(60)})
    return state, choose_weights(fill_weights(state, components(graph)))


def test_steps_hold_their_peak() -> None:
    peaks = np.array([127.49, 127.5, 63.7, 1e-6])
    assert np.array_equal(step_of(peaks)[:3], [1.0, 2.0, 0.5])
    assert np.all(peaks / step_of(peaks) < 127.5)
    assert np.all(peaks / step_of(peaks) > 63.7)


MADE = [residual_network, lambda: uneven_network(10.0)]


@pytest.mark.parametrize("make", MADE)
def test_the_network_computes_the_same(make: Callable[[], Graph]) -> None:
    before, after = filled(make())
    name = before.graph.outputs[0].tensor
    feeds = {"x": images(40, seed=2)}
    exact, found = (run_float(s.graph, feeds)[name] for s in (before, after))
    assert np.allclose(exact, found, atol=1e-4 * np.abs(exact).max())


@pytest.mark.parametrize("make", MADE)
def test_rounded_weights_make_less_noise(make: Callable[[], Graph]) -> None:
    graph, feeds = make(), {"x": images(80, seed=2)}
    found = []
    for skip in (("rounding", "equalization"), ("rounding",)):
        qgraph = quantize(graph, feeds, Options(bits={"*": 16}, skip=skip))
        found.append(evaluate(graph, qgraph, {"x": images(80, seed=3)}).sqnr_db)
    assert found[1] > found[0] + 1.0


def test_channels_stay_below_the_bound_of_relu6() -> None:
    net = Net((1, 8, 8, 3))
    first = net.conv("x", 8, clip=(0.0, 6.0))
    graph = net.graph(net.dense(net.pool(net.conv(first, 8)), 4))
    before, after = filled(graph)
    feeds = {"x": images(60)}
    changed = after.graph.producer(first)
    assert changed is not None
    bound = changed.attrs["clip"][1]
    exact, found = (run_float(s.graph, feeds)[first] for s in (before, after))
    factors = found.max(axis=(0, 1, 2)) / exact.max(axis=(0, 1, 2))
    assert bound == pytest.approx(6.0 * factors.min(), rel=0.1)
    assert np.all(found <= bound * (1 + 1e-6))
    assert factors.max() > 1.05
