"""The expected noise that equalization and ranges go by, and the offsets of channels."""

import math

import numpy as np
import pytest
from small_networks import NO_CLIP, Net, images, residual_network
from test_quantize_steps import started

from mcuq.ir import Graph
from mcuq.measure.evaluate import evaluate
from mcuq.quantize import Options, quantize
from mcuq.quantize.equalize import equalize
from mcuq.quantize.equalize.balance import Activations, Reader, balance
from mcuq.quantize.equalize.offsets import choose_offsets, shiftable, terms_of
from mcuq.quantize.ranges.candidates import candidates
from mcuq.quantize.ranges.sensitivity import sensitivities
from mcuq.quantize.tails import Collector, Seen
from mcuq.reference import run_float


def seen_of(values: np.ndarray) -> Seen:
    collector = Collector()
    for part in np.array_split(values, 3):
        collector.add({"x": part})
    return collector.seen()["x"]


def test_what_is_seen_does_not_depend_on_the_parts() -> None:
    values = np.random.default_rng(0).normal(1.0, 2.0, (3000, 4)).astype(np.float32)
    seen = seen_of(values)
    assert np.array_equal(seen.high.top[:9], -np.sort(-values, axis=0)[:9])
    assert seen.bounds == (float(values.min()), float(values.max()))
    assert np.allclose(seen.variance, values.var(axis=0), rtol=1e-5)


@pytest.mark.parametrize("draw", ["normal", "exponential", "uniform"])
def test_expected_excess_is_that_of_new_data(draw: str) -> None:
    random = np.random.default_rng(0)
    seen = seen_of(getattr(random, draw)(size=(5000, 16)))
    new = getattr(random, draw)(size=(500_000, 16))
    for bound in np.quantile(new, [0.98, 0.99, 0.995]):
        expected = seen.high.excess(np.array(bound)).mean()
        found = np.mean(np.maximum(new - bound, 0.0) ** 2)
        assert expected == pytest.approx(found, rel=0.35)


def test_ranges_of_few_values_reach_beyond_them() -> None:
    random = np.random.default_rng(0)
    seen = seen_of(random.normal(size=(200, 64)))
    low, high = seen.best_ends
    new = random.normal(size=(20_000, 64))
    clipped = np.maximum(new - high, 0.0) ** 2
    narrow = np.maximum(new - seen.high.top[0], 0.0) ** 2
    assert clipped.mean() < narrow.mean() / 3
    assert ((high - low) / 255).mean() ** 2 / 12 < narrow.mean() / 3


def test_one_row_is_enough() -> None:
    seen = seen_of(np.array([[1.0, -2.0, 0.0]]).repeat(3, axis=0))
    low, high = seen.best_ends
    assert np.allclose(low, [0, -2, 0], atol=0.1)
    assert np.allclose(high, [1, 0, 0], atol=0.1)


def test_sensitivities_are_those_of_small_errors() -> None:
    graph = residual_network()
    feeds = {"x": images(40)}
    name = "total"
    found = sensitivities(graph, feeds)[name]
    state = started(graph, feeds)
    exact = run_float(graph, feeds)
    logits = graph.nodes[-1].inputs[0]
    tail = Graph("tail", graph.inputs, graph.outputs, graph.nodes[4:], graph.tensors)
    random = np.random.default_rng(0)
    error = 1e-3 * random.normal(size=(*exact[name].shape,)).astype(np.float32)
    port = tail.inputs[0].__class__(name, name, exact[name].shape[1:])
    tail = Graph("tail", (port,), graph.outputs, tail.nodes, graph.tensors)
    moved = run_float(tail, {name: exact[name] + error})[logits] - exact[logits]
    ratio = np.sum(moved.astype(float) ** 2) / np.sum(exact[logits].astype(float) ** 2)
    assert found.sum() * 1e-6 == pytest.approx(ratio, rel=0.25)
    assert state.sensitivity[name].shape == (8,)


def test_balance_fills_the_range_where_only_activations_matter() -> None:
    peak = np.array([1.0, 0.1, 0.01])
    found = balance([Activations(peak, np.ones(3), 255.0)], [], 1.0)
    noise, least = (np.max(f * peak) ** 2 * np.sum(f**-2.0) for f in (found, 1 / peak))
    assert noise < 1.05 * least


def test_balance_spares_the_weights() -> None:
    peak = np.array([1.0, 0.1])
    weights = np.array([[0.1, 1.0], [0.1, 1.0]])
    quiet = Activations(peak, np.full(2, 1e-6), 255.0)
    reader = Reader(weights, np.ones(2), np.array([1.0, 1.0]))
    found = balance([quiet], [reader], 1.0)
    even = np.array([1.0, 10.0])  # all weights alike
    noise, least = (np.max(weights[0] / f) ** 2 * np.sum(f**2) for f in (found, even))
    assert noise < 1.05 * least
    assert found[1] > 5 * found[0]


def test_dead_channels_keep_the_least_factor() -> None:
    dead = Activations(np.array([1.0, 0.0, 0.2]), np.array([1.0, 0.0, 1.0]), 255.0)
    assert balance([dead], [], 1.0)[1] == 1.0


def test_nothing_to_balance() -> None:
    silent = Activations(np.zeros(2), np.ones(2), 255.0)
    assert np.array_equal(balance([silent], [], 1.0), np.ones(2))


def trunk() -> tuple[Graph, list[str]]:
    """Two signed sums with layers without padding around them."""
    net = Net((1, 6, 6, 3))
    first = net.conv("x", 4, clip=NO_CLIP)
    inner = net.conv(net.conv(first, 8, kernel=1), 4, kernel=1, clip=NO_CLIP)
    total = net.node("add", first, inner, clip=NO_CLIP, name="total")
    wide = net.conv(total, 8, kernel=1)
    return net.graph(net.dense(net.pool(wide), 3)), [first, inner, total]


def test_offsets_of_sums_add_up() -> None:
    graph, (first, inner, total) = trunk()
    shifted = {name: made for name, made in terms_of(graph).items() if made}
    assert shifted == {first: {first: 1}, inner: {inner: 1}, total: {first: 1, inner: 1}}
    ends = {n: (np.full(4, low), np.full(4, high)) for n, low, high in
            ((first, -1.0, 3.0), (inner, 0.0, 2.0), (total, -1.0, 5.0))}  # fmt: skip
    found = choose_offsets(graph, ends, dict.fromkeys(ends, np.ones(4)))
    assert np.allclose(found[first], -1.0)
    assert np.allclose(found[inner], -1.0)
    assert np.allclose(found[total], -2.0)


def test_a_shifted_trunk_computes_the_same() -> None:
    graph, (_, _, total) = trunk()
    feeds = {"x": np.random.default_rng(0).normal(1, 1, (40, 6, 6, 3)).astype(np.float32)}
    state = equalize(started(graph, feeds), 1.0)
    before, after = (run_float(g, feeds) for g in (graph, state.graph))
    name = graph.outputs[0].tensor
    assert np.allclose(before[name] * state.factors[name], after[name], atol=1e-4)
    middle = (after[total].max(axis=(0, 1, 2)) + after[total].min(axis=(0, 1, 2))) / 2
    assert np.all(np.abs(middle) < 0.2 * np.abs(after[total]).max())


@pytest.mark.parametrize("pads", [0, 1])
def test_padding_forbids_offsets(pads: int) -> None:
    net = Net((1, 6, 6, 3))
    first = net.conv("x", 4, clip=NO_CLIP)
    graph = net.graph(net.conv(first, 4, kernel=3 if pads else 1))
    assert (first in shiftable(graph)) == (pads == 0)


def test_scale_before_a_softmax_is_free() -> None:
    graph = residual_network()
    feeds = {"x": images(60)}
    state = equalize(started(graph, feeds), 1.0)
    assert state.graph.nodes[-1].float("scale") != 1.0
    before, after = (run_float(g, feeds)["classes"] for g in (graph, state.graph))
    assert np.allclose(before, after, atol=1e-5)
    qgraph = quantize(graph, feeds, Options("fast"))
    assert evaluate(graph, qgraph, feeds).sqnr_db > 25


def test_candidates_put_the_range_in_the_middle() -> None:
    for frac, zero in candidates(-0.3, 1.5, never=False)[:1]:
        low, high = math.floor(-0.3 * 2**frac + 0.5) + zero, math.floor(1.5 * 2**frac + 0.5) + zero
        assert abs((low + high) + 1) <= 1
        assert high - low > 100


def test_ends_of_channels_are_looked_for_only_where_they_may_be_rescaled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A row of samples in front of features is as many channels as it has samples: millions."""
    asked: list[int] = []
    found = Seen.best_ends.func

    def recorded(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        asked.append(seen.high.top.shape[1])
        return found(seen)

    monkeypatch.setattr(Seen, "best_ends", property(recorded))
    net = Net((1, 1, 7, 3))
    last = net.recurrent("rnn", net.conv("x", 8, kernel=1), 6, gives="last")
    graph = net.graph(net.dense(last, 2))
    rows = np.random.default_rng(0).normal(size=(8, 1, 7, 3)).astype(np.float32)
    quantize(graph, {"x": rows}, Options("fast"))
    assert 2 in asked  # of the dense layer, which may be
    assert not {8, 6}.intersection(asked)  # what a recurrent layer reads and writes may not
