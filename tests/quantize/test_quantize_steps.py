import math
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import pytest
from small_networks import NO_CLIP, Net, images, residual_network

from mcuq.errors import McuqError
from mcuq.ir import Graph
from mcuq.measure.evaluate import evaluate
from mcuq.quantize import Options, quantize, quantize_report
from mcuq.quantize.choice import choose
from mcuq.quantize.equalize import equalize
from mcuq.quantize.equalize.components import components
from mcuq.quantize.equalize.refine import refine_equalization
from mcuq.quantize.factors import factored
from mcuq.quantize.guard import fit_rows, held_rows, output_error
from mcuq.quantize.ranges import joins, scales, search
from mcuq.quantize.ranges.inputs import affine_inputs
from mcuq.quantize.ranges.search import search_scales
from mcuq.quantize.reals import dequantized
from mcuq.quantize.rounding import compensate
from mcuq.quantize.rounding.bias import correct_biases
from mcuq.quantize.rounding.compensate import round_layers
from mcuq.quantize.rounding.layers import before_clip, channel_means, columns, from_rows, to_rows
from mcuq.quantize.rounding.least import compensated
from mcuq.quantize.simulate import Simulation, float_outputs, rounded_pad
from mcuq.quantize.state import OPTIONAL, State
from mcuq.quantize.structure import activations
from mcuq.reference import feeds_to_int, port_to_real, run_float, run_int


def started(
    graph: Graph, feeds: dict[str, np.ndarray], effort: str = "fast", **options: Any
) -> State:
    """A state with scales and weights chosen."""
    state = State(graph, feeds, Options(effort, **options))
    for step in (scales.observe, joins.split_concats, scales.choose_scales, scales.choose_weights):
        state = step(state)
    return state


def recurrent_network(kind: str) -> Graph:
    """One layer of 16 units over 15 vectors of 8 values; then a product with 5 outputs."""
    op, gates, biases = {"lstm": ("lstm", 4, 4), "rnn": ("rnn", 1, 1)}.get(kind, ("gru", 3, 6))
    net = Net((1, 1, 15, 8), seed=4)
    chance = net.random
    constants = [
        net.constant("w", chance.normal(0, 0.5, (16 * gates, 8))),
        net.constant("r", chance.normal(0, 0.3, (16 * gates, 16))),
        net.constant("b", chance.normal(0, 0.2, 16 * biases)),
        net.constant("h", np.zeros(16)),
        *([net.constant("c", np.zeros(16))] if op == "lstm" else []),
    ]
    more = {"gru": {"after": kind == "gru after"}, "rnn": {"activation": "tanh"}}.get(op, {})
    made = net.node(op, "x", *constants, gives="last", reverse=False, **more)
    return net.graph(net.dense(made, 5))


def uneven_network(spread: float) -> Graph:
    """A ReLU network whose channels' ranges differ by ``spread``, by exact rescaling."""
    net = Net((1, 8, 8, 3))
    a = net.conv("x", 16)
    b = net.depthwise(a)
    c = net.conv(b, 16, kernel=1)
    graph = net.graph(net.dense(net.pool(c), 5))
    random = np.random.default_rng(0)
    factors = {name: spread ** random.uniform(-0.5, 0.5, 16) for name in (a, b, c)}
    tensors = dict(graph.tensors)
    for node in graph.nodes[:3]:
        out, into = factors[node.output], factors.get(node.inputs[0], np.ones(1))
        w, bias = graph.data(node.inputs[1]), graph.data(node.inputs[2])
        depthwise = node.op == "depthwise_conv2d"
        w = w / into * (out if depthwise else out[:, None, None, None])
        for name, data in ((node.inputs[1], w), (node.inputs[2], bias * out)):
            tensors[name] = replace(tensors[name], data=data.astype(np.float32))
    dense = graph.nodes[-1]
    w = graph.data(dense.inputs[1]) / factors[c]
    tensors[dense.inputs[1]] = replace(tensors[dense.inputs[1]], data=w.astype(np.float32))
    return replace(graph, tensors=tensors)


def lopsided(rows: int) -> np.ndarray:
    """Images whose values lie in -1..34: a symmetric range would waste a bit."""
    return np.minimum(np.abs(images(rows)) * 12, 35) - 1


def test_affine_input_changes_nothing_but_the_input() -> None:
    graph = residual_network()
    state = started(graph, {"x": lopsided(50)})
    changed = affine_inputs(state)
    before, after = (run_float(s.graph, s.feeds)["total"] for s in (state, changed))
    assert np.allclose(before, after, atol=1e-3)
    port = changed.graph.inputs[0]
    assert len(port.scale) == 1
    assert port.offset[0] == round(port.offset[0])
    assert output_error(correct_biases(changed), held_rows(changed)) < output_error(
        correct_biases(state), held_rows(state)
    )


def test_affine_input_in_integers() -> None:
    graph = residual_network()
    feeds = {"x": lopsided(60)}
    done = quantize_report(graph, feeds, Options("fast"))
    assert next(n for n in done.notes if n.step == "affine input").kept
    port = done.qgraph.inputs[0]
    integers = feeds_to_int(done.qgraph, feeds)["x"]
    assert np.abs(port_to_real(port, integers) - feeds["x"]).mean() < 0.05
    assert evaluate(graph, done.qgraph, {"x": lopsided(60) + 0.1}).sqnr_db > 25


def test_an_input_that_is_added_keeps_its_scale() -> None:
    net = Net((1, 8, 8, 3))
    graph = net.graph(net.node("add", "x", net.conv("x", 3), clip=NO_CLIP))
    assert affine_inputs(started(graph, {"x": images(30)})).graph.inputs[0].scale == ()


@pytest.mark.parametrize("trade", [0.1, 1.0, 10.0])
def test_equalization_computes_the_same(trade: float) -> None:
    graph = residual_network()
    state = started(graph, {"x": images(30)})
    changed = equalize(state, trade)
    before, after = (run_float(s.graph, s.feeds)["classes"] for s in (state, changed))
    assert np.allclose(before, after, atol=1e-5)
    assert not np.allclose(*(s.graph.data("w0") for s in (state, changed)))


def test_components() -> None:
    graph = residual_network()
    stem, wide = (node.output for node in graph.nodes[:2])
    found = {part.tensors: part.channels for part in components(graph)}
    assert found[(wide,)] == 8
    trunk = next(names for names in found if stem in names)
    assert "total" in trunk
    assert found[trunk] == 8
    assert not any("x" in names or "classes" in names for names in found)


def test_relu6_channels_stay_below_their_bound() -> None:
    net = Net((1, 8, 8, 3))
    y = net.conv("x", 4, clip=(0.0, 6.0))
    graph = net.graph(net.conv(y, 4))
    assert {p.tensors: p.channels for p in components(graph)}[(y,)] == 4
    changed = equalize(started(graph, {"x": images(30)}), 1.0).graph
    before, after = (run_float(g, {"x": images(30)})[y] for g in (graph, changed))
    factors = after.sum(axis=(0, 1, 2)) / before.sum(axis=(0, 1, 2))
    assert factors.max() > 1.2 * factors.min()
    assert np.allclose(after, before * factors, atol=1e-4)
    assert changed.nodes[0].attrs["clip"][1] == pytest.approx(6 * factors.min(), rel=1e-3)


def test_grouped_and_multiplied_channels_are_equalized() -> None:
    net = Net((1, 8, 8, 4))
    a = net.conv("x", 4)
    w = net.constant("wg", np.random.default_rng(0).normal(size=(6, 1, 1, 2)))
    b = net.constant("bg", np.zeros(6))
    attrs = {
        "strides": (1, 1), "dilations": (1, 1), "pads": (0,) * 4, "groups": 2,
        "clip": NO_CLIP, "pad_value": (0.0,),
    }  # fmt: skip
    y = net.node("conv2d", a, w, b, name="grouped", **attrs)
    graph = net.graph(y)
    feeds = {"x": np.random.default_rng(1).normal(size=(30, 8, 8, 4)).astype(np.float32)}
    changed = equalize(started(graph, feeds), 1.0)
    before, after = (run_float(g, feeds)[y] for g in (graph, changed.graph))
    assert np.allclose(before * changed.factors[y], after, atol=1e-4)


def test_output_factor_reaches_the_port() -> None:
    net = Net((1, 6))
    graph = net.graph(net.dense(net.dense("x", 8, clip=(0.0, math.inf)), 3))
    x = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    for effort in ("fast", "normal"):
        qgraph = quantize(graph, {"x": x}, Options(effort))
        assert evaluate(graph, qgraph, {"x": x}).sqnr_db > 30


def test_channels_of_very_different_range() -> None:
    graph = uneven_network(1000.0)
    feeds = {"x": images(100)}
    new = {"x": images(100, 5)}
    naive = evaluate(graph, quantize(graph, feeds, Options("fast", "minmax")), new)
    normal = evaluate(graph, quantize(graph, feeds, Options("normal")), new)
    even = evaluate(uneven_network(1.0), quantize(uneven_network(1.0), feeds), new)
    assert normal.sqnr_db > even.sqnr_db - 3
    assert normal.sqnr_db > naive.sqnr_db - 1


def test_bias_correction_restores_the_means() -> None:
    state = started(residual_network(), {"x": images(60)})
    changed = correct_biases(state)
    rows = fit_rows(state)
    simulation = Simulation(changed, rows)
    exact = run_float(state.graph, rows)
    for node in state.graph.nodes:
        if node.op == "conv2d":
            source, w, b = node.inputs
            data = state.graph.data(w), state.graph.data(b)
            wanted = channel_means(before_clip(node, exact[source], *data))
            numbers = dequantized(changed.weights[w]), changed.biases[b]
            bare = rounded_pad(node, changed.acts)
            found = channel_means(before_clip(bare, simulation.value(source), *numbers))
            assert np.allclose(wanted, found, atol=1e-5)


def test_rows_and_columns_make_the_convolution() -> None:
    graph = residual_network()
    values = run_float(graph, {"x": images(4)})
    for node in graph.nodes:
        if node.op in ("conv2d", "depthwise_conv2d", "dense"):
            import torch

            weights, bias = (graph.data(n) for n in node.inputs[1:])
            cols = columns(node, graph, torch.from_numpy(values[node.inputs[0]])).numpy()
            rows = to_rows(node, graph, weights)
            assert np.array_equal(from_rows(node, graph, rows), weights)
            product = np.einsum("gnk,gok->ngo", cols, rows).reshape(-1, len(bias)) + bias
            exact = before_clip(node, values[node.inputs[0]], weights, bias)
            assert np.allclose(product, exact.reshape(product.shape), atol=1e-5)


def test_compensated_rounding_beats_nearest_on_correlated_inputs() -> None:
    random = np.random.default_rng(0)
    x = (
        random.normal(size=(500, 3)) @ random.normal(size=(3, 12))
        + random.normal(size=(500, 12)) * 0.1
    )
    hessian = (x.T @ x / 500 + 1e-6 * np.eye(12))[None]
    target = random.normal(size=(1, 5, 12))
    fracs = np.full((1, 5), 3)
    known = factored(hessian)
    assert known is not None
    integers = compensated(target, np.ones_like(target, bool), known, fracs[:, :, None])
    nearest = np.floor(target * 8 + 0.5)
    error, simple = (float((((i / 8 - target)[0] @ x.T) ** 2).mean()) for i in (integers, nearest))
    assert error < simple / 4


@pytest.mark.parametrize("op", ["lstm", "gru before", "gru after", "rnn"])
def test_recurrent_layers_are_rounded_for_what_meets_inside_of_them(op: str) -> None:
    """Less error than the nearest integers; biases alone take back the means."""
    graph = recurrent_network(op)
    chance = np.random.default_rng(1)
    mixed = chance.normal(size=(90, 1, 15, 3)) @ chance.normal(size=(3, 8)) + 0.5
    rows = {"x": (mixed + 0.1 * chance.normal(size=mixed.shape)).astype(np.float32)}
    known, new = ({"x": part} for part in (rows["x"][:60], rows["x"][60:]))
    state = started(graph, known, "normal", bits={"*": 16})
    nearest, biased, rounded = (
        output_error(step(state), new) for step in (lambda s: s, correct_biases, round_layers)
    )
    assert biased < nearest
    assert rounded < 0.4 * nearest


def test_a_very_deep_layer_gets_its_bias_only(monkeypatch: pytest.MonkeyPatch) -> None:
    state = started(residual_network(), {"x": images(60)})
    monkeypatch.setattr(compensate, "MAX_DEPTH", 0)
    deep, corrected = round_layers(state), correct_biases(state)
    assert deep.weights == state.weights
    assert all(np.array_equal(deep.biases[n], b) for n, b in corrected.biases.items())


def test_rounding_lowers_the_error() -> None:
    state = started(residual_network(), {"x": images(200)})
    assert output_error(round_layers(state), held_rows(state)) < output_error(
        state, held_rows(state)
    )


def test_search_mends_a_bad_scale() -> None:
    state = started(residual_network(), {"x": images(60)})
    good = state.acts["total"]
    spoiled = state.with_acts({"total": replace(good, frac=good.frac - 2)})
    mended = search_scales(spoiled)
    assert output_error(mended, held_rows(state)) < 1.1 * output_error(state, held_rows(state))


@pytest.mark.parametrize(("effort", "rows"), [("fast", 4), ("normal", 36)])
def test_a_few_rows_of_large_images_say_enough(
    effort: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = started(residual_network(), {"x": images(60)}, effort)
    one = sum(prod(state.graph.shape(name)) for name in activations(state.graph))
    monkeypatch.setattr(search, "ENOUGH", 4 * one + 1)
    good = state.acts["total"]
    seen: list[int] = []

    def exact(state: State, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        seen.append(len(feeds["x"]))
        return float_outputs(state, feeds)

    monkeypatch.setattr(search, "float_outputs", exact)
    found = search_scales(state.with_acts({"total": replace(good, frac=good.frac - 2)}))
    assert seen == [rows]
    assert found.acts["total"].frac > good.frac - 2


def test_a_harmful_step_is_not_kept() -> None:
    state = started(residual_network(), {"x": images(60)})
    spoiled = state.with_acts({"total": replace(state.acts["total"], frac=0)})
    after = choose("spoil", state, [("", lambda _: spoiled)])
    assert after.acts == state.acts
    assert not after.notes[-1].kept
    assert after.notes[-1].before == after.notes[-1].after


@pytest.mark.parametrize("effort", ["fast", "normal", "best"])
def test_every_effort_runs_and_reports(effort: str) -> None:
    seen: list[tuple[str, float]] = []
    options = Options(effort, report=lambda text, share: seen.append((text, share)))
    graph = residual_network()
    done = quantize_report(graph, {"x": images(60)}, options)
    assert evaluate(graph, done.qgraph, {"x": images(60, 4)}).sqnr_db > 25
    assert {text for text, _ in seen} >= {"observe", "rounding", "integers"}
    assert all(0 <= share <= 1 for _, share in seen)
    run_int(done.qgraph, feeds_to_int(done.qgraph, {"x": images(2)}))


def test_steps_can_be_skipped() -> None:
    graph = residual_network()
    done = quantize_report(graph, {"x": images(60)}, Options("fast", skip=OPTIONAL))
    assert done.notes == ()
    with pytest.raises(McuqError, match="'observe' is not one of affine input"):
        quantize(graph, {"x": images(60)}, Options(skip=("observe",)))


def test_progress_only_grows() -> None:
    seen: list[float] = []
    options = Options("normal", report=lambda _, share: seen.append(share))
    quantize(residual_network(), {"x": images(60)}, options)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_refining_gives_sets_their_own_strength() -> None:
    graph = uneven_network(1000.0)
    state = started(graph, {"x": images(100)})
    refined = refine_equalization(state)
    before, after = (run_float(s.graph, s.feeds) for s in (state, refined))
    name = graph.outputs[0].tensor
    assert np.allclose(before[name] * refined.factors.get(name, 1.0), after[name], atol=1e-4)
    held = held_rows(state)
    assert output_error(correct_biases(refined), held) < output_error(correct_biases(state), held)
