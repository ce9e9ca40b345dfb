"""Channels that fall together, and graphs without them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_models
import pytest
import random_networks
from small_networks import NO_CLIP, Net, images, residual_network

from mcuq import importers
from mcuq.compress.groups import has_units, reads_all_channels, structure
from mcuq.compress.importance import importance
from mcuq.compress.removal import remove
from mcuq.compress.structured import MEASURES, layers_matching, prune_channels
from mcuq.errors import McuqError
from mcuq.ir import Graph, Hint, Node, Tensor, problems
from mcuq.ops import spec
from mcuq.passes import pipeline
from mcuq.quantize import Options, quantize
from mcuq.quantize.structure import weighted
from mcuq.reference import outputs_of


def groups(graph: Graph) -> list[tuple[int, tuple[str, ...]]]:
    return [(len(group.units), group.layers) for group in structure(graph).groups]


def without_reading(graph: Graph, removed: frozenset[int]) -> Graph:
    """``graph`` in which the weights for the units ``removed`` are 0."""
    found, tensors = structure(graph), dict(graph.tensors)
    for node in graph.nodes:
        if reads_all_channels(graph, node):
            weights = graph.data(node.inputs[1]).copy()
            gone = np.isin(found.channels[node.inputs[0]].units, list(removed))
            if node.op == "depthwise_conv2d":
                assert not gone.any()
            else:
                weights[..., gone] = 0
            tensors[node.inputs[1]] = Tensor(node.inputs[1], weights.shape, weights)
        if has_units(graph, node):
            weights = graph.data(node.inputs[2]).copy()
            weights[:, np.isin(found.channels[node.output].units, list(removed))] = 0
            tensors[node.inputs[2]] = Tensor(node.inputs[2], weights.shape, weights)
    return replace(graph, tensors=tensors)


def check_removal(graph: Graph, removed: frozenset[int], feeds: dict[str, np.ndarray]) -> Graph:
    """Removing gives the same outputs as not reading, in a valid graph."""
    small = remove(graph, structure(graph), removed)
    assert list(problems(small)) == []
    for node in small.nodes:
        shapes = [small.shape(n) for n in node.inputs]
        assert spec(node.op).infer(node, shapes) == small.shape(node.output)
    expected = outputs_of(without_reading(graph, removed), feeds)
    for name, values in outputs_of(small, feeds).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-5)
    return small


def some_of_each(graph: Graph, seed: int = 0) -> frozenset[int]:
    """A random part, never all, of the units of each group."""
    chance = np.random.default_rng(seed)
    picked: set[int] = set()
    for group in structure(graph).groups:
        count = int(chance.integers(1, len(group.units)))
        picked.update(chance.choice(group.units, count, replace=False).tolist())
    return frozenset(picked)


def chain(net: Net) -> str:
    return net.conv(net.conv("x", 8), 12)


def test_a_residual_stream_is_one_group_with_all_that_add_to_it() -> None:
    assert groups(residual_network()) == [(8, ("conv2d_0", "conv2d_2"))]


def test_inputs_and_outputs_stay() -> None:
    net = Net((1, 8, 8, 3))
    assert groups(net.graph(chain(net))) == [(8, ("conv2d_0",))]


def test_a_flattened_image_takes_its_columns_along() -> None:
    net = Net((1, 4, 4, 3))
    flat = net.node("reshape", net.conv("x", 8), shape=(1, 128))
    graph = net.graph(net.dense(net.dense(flat, 6), 3))
    assert groups(graph) == [(8, ("conv2d_0",)), (6, ("dense_2",))]
    found = structure(graph)
    small = check_removal(graph, frozenset(found.groups[0].units[:3]), {"x": images(4)[:, :4, :4]})
    assert small.shape("reshape_1") == (1, 80)
    assert small.shape("w2") == (6, 80)


RECURRENT = (
    ("lstm", {}), ("lstm", {"gives": "cell"}), ("gru", {}), ("gru", {"after": False}), ("rnn", {})
)  # fmt: skip


def sequences(rows: int = 24) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(2).normal(size=(rows, 1, 7, 5)).astype(np.float32)}


def recurrent_network(op: str, **attrs: object) -> Graph:
    """A dense layer at every step, two recurrent ones, the last state to classes."""
    net = Net((1, 1, 7, 5))
    first = net.recurrent(op, net.conv("x", 8, kernel=1), 12, **{**attrs, "gives": "all"})
    last = net.recurrent(op, first, 8, **{"gives": "last", **attrs})
    return net.graph(net.dense(last, 3))


@pytest.mark.parametrize(("op", "attrs"), RECURRENT)
def test_units_of_recurrent_layers_go_with_what_reads_them(
    op: str, attrs: dict[str, object]
) -> None:
    graph = recurrent_network(op, **attrs)
    assert groups(graph) == [(8, ("conv2d_0",)), (12, (f"{op}_1",)), (8, (f"{op}_2",))]
    removed = some_of_each(graph)
    small = check_removal(graph, removed, sequences())
    for layer in ("conv2d_0", f"{op}_1", f"{op}_2"):
        assert small.shape(layer)[-1] < graph.shape(layer)[-1]
    node = next(n for n in small.nodes if n.output == f"{op}_1")
    gates, units = {"lstm": 4, "gru": 3, "rnn": 1}[op], small.shape(node.output)[-1]
    shapes = [small.shape(name) for name in node.inputs[1:]]
    assert shapes[:2] == [(gates * units, small.shape("conv2d_0")[-1]), (gates * units, units)]
    assert {shape[0] for shape in shapes[3:]} == {units}


def test_both_directions_have_units_of_their_own() -> None:
    net = Net((1, 1, 7, 5))
    both = [net.recurrent("gru", "x", 8, reverse=back) for back in (False, True)]
    graph = net.graph(net.recurrent("rnn", net.node("concat", *both, axis=3), 4, gives="last"))
    assert groups(graph) == [(8, ("gru_0",)), (8, ("gru_1",))]
    check_removal(graph, some_of_each(graph), sequences())


def test_units_of_a_state_that_comes_from_outside_stay() -> None:
    net = Net((1, 1, 7, 5))
    net.recurrent("rnn", "x", 8, gives="last")
    start = net.input("start", (1, 8))
    node = net.nodes[0]
    net.nodes[0] = replace(node, inputs=(*node.inputs[:4], start))
    assert groups(net.graph(net.dense("rnn_0", 2))) == []


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("op", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("by", ["taylor", "magnitude", "l1"])
def test_half_of_a_recurrent_network_goes(op: str, measure: str, by: str) -> None:
    graph, data = recurrent_network(op), sequences()
    small = prune_channels(graph, 0.5, importance=by, calibration=data, measure=measure, multiple=2)
    weights = [sum(t.data.size for t in g.tensors.values() if t.data is not None)
               for g in (graph, small)]  # fmt: skip
    assert weights[1] < 0.75 * weights[0]
    assert list(problems(small)) == []
    quantize(small, data, Options("fast"))


def test_units_that_only_the_layer_itself_reads_matter() -> None:
    """Unit 0 is the memory of unit 1, all that the output reads; units 2 and 3 do nothing."""
    net = Net((1, 1, 7, 5))
    last = net.dense(net.recurrent("rnn", "x", 4, gives="last"), 2)
    graph = net.graph(last)
    r, w = np.zeros((4, 4), np.float32), graph.data("w1").copy()
    r[1, 0] = r[0, 0] = 0.9
    w[:, 0] = w[:, 2:] = 0
    tensors = {**graph.tensors, "r0": Tensor("r0", r.shape, r), "w1": Tensor("w1", w.shape, w)}
    graph = replace(graph, tensors=tensors)
    found = structure(graph)
    score = importance(graph, found, "taylor", sequences())[found.channels["rnn_0"].units]
    assert score[0] > 0
    assert score[1] > 0
    assert score[2:].tolist() == [0, 0]


def test_concatenated_branches_keep_groups_of_their_own() -> None:
    net = Net((1, 8, 8, 3))
    one, two = net.conv("x", 8), net.conv("x", 4)
    both = net.node("concat", one, two, axis=3)
    graph = net.graph(net.dense(net.pool(net.conv(both, 8)), 2))
    assert groups(graph) == [(8, ("conv2d_0",)), (4, ("conv2d_1",)), (8, ("conv2d_3",))]
    check_removal(graph, some_of_each(graph), {"x": images(4)})


def test_images_one_above_the_other_share_their_channels() -> None:
    net = Net((1, 8, 8, 3))
    both = net.node("concat", net.conv("x", 8), net.conv("x", 8), axis=1)
    graph = net.graph(net.dense(net.pool(both), 2))
    assert groups(graph) == [(8, ("conv2d_0", "conv2d_1"))]
    check_removal(graph, some_of_each(graph), {"x": images(4)})


def test_a_gate_goes_with_what_it_gates() -> None:
    net = Net((1, 8, 8, 3))
    wide = net.conv("x", 8)
    mean = net.node(
        "avg_pool2d", wide, kernel=(8, 8), strides=(1, 1), pads=(0, 0, 0, 0), include_pad=False,
        clip=NO_CLIP,
    )  # fmt: skip
    gate = net.node("sigmoid", net.conv(net.conv(mean, 4, kernel=1), 8, kernel=1))
    graph = net.graph(net.dense(net.pool(net.node("mul", wide, gate, clip=NO_CLIP)), 2))
    assert groups(graph) == [(8, ("conv2d_0", "conv2d_3")), (4, ("conv2d_2",))]
    check_removal(graph, some_of_each(graph), {"x": images(4)})


def test_constants_per_channel_are_cut_along() -> None:
    net = Net((1, 8, 8, 3))
    wide = net.conv("x", 8, pads=(0, 0, 0, 0))
    scaled = net.node("mul", wide, net.constant("c", np.arange(1, 9)), clip=NO_CLIP)
    shifted = net.node("add", scaled, net.constant("d", np.ones((6, 6, 1))), clip=NO_CLIP)
    values = tuple(float(v) for v in range(8))
    pads = ((0, 0), (1, 0), (0, 2), (0, 0))
    padded = net.node("pad", shifted, pads=pads, value=values)
    normed = net.node("batch_norm", padded, net.constant("s", values), net.constant("t", values))
    last = net.conv(normed, 4, pad_value=values)
    graph = net.graph(net.dense(net.pool(last), 2))
    small = check_removal(graph, frozenset(structure(graph).groups[0].units[1:7]), {"x": images(4)})
    assert small.data("c").tolist() == [1, 8]
    assert small.shape("d") == (6, 6, 1)
    assert [n.attrs["value"] for n in small.nodes if n.op == "pad"] == [(0.0, 7.0)]
    assert small.nodes[-4].attrs["pad_value"] == (0.0, 7.0)


@pytest.mark.parametrize("multiplier", [1, 3])
def test_a_depthwise_layer_follows_its_input(multiplier: int) -> None:
    net = Net((1, 8, 8, 3))
    x = net.conv("x", 4)
    weights = net.constant("w", net.random.normal(0, 1, (3, 3, 4 * multiplier)))
    bias = net.constant("b", np.ones(4 * multiplier))
    attrs = {"strides": (1, 1), "dilations": (1, 1), "pads": (1, 1, 1, 1), "pad_value": (0.0,)}
    wide = net.node("depthwise_conv2d", x, weights, bias, clip=NO_CLIP, **attrs)
    graph = net.graph(net.dense(net.pool(wide), 2))
    assert groups(graph) == [(4, ("conv2d_0",))]
    small = check_removal(graph, some_of_each(graph), {"x": images(4)})
    assert small.shape("w")[2] == small.shape(x)[3] * multiplier


def test_what_reads_all_channels_of_a_position_pins_them() -> None:
    net = Net((1, 8, 8, 3))
    graph = net.graph(net.conv(net.node("softmax", net.conv("x", 8)), 4))
    assert groups(graph) == []


def test_a_grouped_convolution_pins_its_channels() -> None:
    net = Net((1, 8, 8, 4))
    wide = net.conv("x", 8)
    weights = net.constant("w", net.random.normal(0, 1, (8, 1, 1, 4)))
    attrs = {"strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0), "pad_value": (0.0,)}
    halves = net.node(
        "conv2d", wide, weights, net.constant("b", np.ones(8)), groups=2, clip=NO_CLIP, **attrs
    )
    graph = net.graph(net.dense(net.pool(halves), 2))
    assert groups(graph) == []
    with pytest.raises(McuqError, match="no channel can be removed"):
        prune_channels(graph, 0.5, importance="magnitude")


def test_layers_that_share_weights_stay() -> None:
    net = Net((1, 8, 8, 3))
    one = net.conv("x", 8)
    nodes = net.nodes
    other = replace(nodes[0], name="other", outputs=("other",))
    nodes.append(other)
    net.tensors["other"] = Tensor("other", net.tensors[one].shape)
    both = net.node("concat", one, "other", axis=3)
    assert groups(net.graph(net.dense(net.pool(both), 2))) == []


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_survive(seed: int) -> None:
    graph, feeds = random_graph(seed)
    check_removal(graph, some_of_each(graph, seed), feeds)


@pytest.mark.parametrize("seed", range(5))
def test_random_networks_are_quantized_after_it(seed: int) -> None:
    graph, feeds = random_graph(seed)
    small = remove(graph, structure(graph), some_of_each(graph, seed))
    quantize(small, feeds, Options("fast"))


def random_graph(seed: int) -> tuple[Graph, dict[str, np.ndarray]]:
    proto = random_networks.model(seed)
    with tempfile.TemporaryDirectory() as folder:
        graph = pipeline.run(importers.load(onnx_models.save(proto, Path(folder), "random.onnx")))
    chance = np.random.default_rng(seed)
    shapes = {port.name: graph.shape(port.tensor)[1:] for port in graph.inputs}
    return graph, {n: chance.normal(0, 1, (16, *s)).astype(np.float32) for n, s in shapes.items()}


def network() -> Graph:
    net = Net((1, 8, 8, 3))
    x = net.conv(net.depthwise(net.conv("x", 16)), 24, kernel=1)
    return net.graph(net.node("softmax", net.dense(net.pool(x), 4)))


def cost(graph: Graph, measure: str) -> int:
    layers = weighted(graph)
    if measure == "channels":
        return sum(graph.shape(node.output)[-1] for node in layers if node.op == "conv2d")
    if measure == "weights":
        return sum(graph.data(node.inputs[1]).size for node in layers)
    return sum(macs(graph, node) for node in layers)


def macs(graph: Graph, node: Node) -> int:
    shapes = [graph.shape(name) for name in node.inputs]
    return spec(node.op).macs(node, shapes, graph.shape(node.output))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("importance", ["taylor", "magnitude", "l1"])
def test_at_least_the_amount_goes_in_multiples(measure: str, scope: str, importance: str) -> None:
    graph, feeds = network(), {"x": images(32)}
    small = prune_channels(
        graph, 0.5, importance=importance, calibration=feeds, scope=scope, measure=measure
    )
    assert 0.25 * cost(graph, measure) <= cost(small, measure) <= 0.5 * cost(graph, measure)
    assert all(small.shape(node.output)[-1] % 4 == 0 for node in small.nodes if node.op == "conv2d")


def test_nothing_goes_for_0() -> None:
    graph = network()
    assert prune_channels(graph, 0.0, importance="magnitude") is graph


def test_one_channel_may_be_left() -> None:
    small = prune_channels(
        network(), 1 - 2 / 40, importance="magnitude", measure="channels", multiple=1
    )
    assert [small.shape(n.output)[-1] for n in small.nodes if n.op == "conv2d"] == [1, 1]
    quantize(small, {"x": images(32)}, Options("fast"))


def test_only_the_named_layers_lose_channels() -> None:
    small = prune_channels(network(), 0.3, importance="magnitude", only="conv2d_2")
    assert small.shape("conv2d_0")[-1] == 16
    assert small.shape("conv2d_2")[-1] < 24


def test_gradual_pruning_arrives_at_the_amount_of_the_whole() -> None:
    whole = small = network()
    for amount in (0.2, 0.4, 0.5, 0.5):
        small = prune_channels(small, amount, importance="magnitude", of=whole)
    assert 0.35 * cost(whole, "macs") <= cost(small, "macs") <= 0.5 * cost(whole, "macs")
    assert prune_channels(small, 0.4, importance="magnitude", of=whole) is small


def test_dead_channels_go_first() -> None:
    graph = network()
    tensors = dict(graph.tensors)
    weights, bias = graph.data("w2").copy(), graph.data("b2").copy()
    weights[::2], bias[::2] = 0, 0
    tensors["w2"] = Tensor("w2", weights.shape, weights)
    tensors["b2"] = Tensor("b2", bias.shape, bias)
    graph = replace(graph, tensors=tensors)
    feeds = {"x": images(32)}
    for measure in ("taylor", "magnitude", "l1"):
        small = prune_channels(
            graph, 0.5, importance=measure, calibration=feeds, only="conv2d_2",
            measure="channels", refit=False,
        )  # fmt: skip
        np.testing.assert_array_equal(small.data("w2"), weights[1::2])
        name = graph.outputs[0].name
        np.testing.assert_allclose(
            outputs_of(small, feeds)[name], outputs_of(graph, feeds)[name], rtol=1e-4
        )


@pytest.mark.parametrize("make", [network, residual_network])
def test_layers_make_up_for_the_inputs_they_lost(make: Callable[[], Graph]) -> None:
    graph, feeds, fresh = make(), {"x": images(64)}, {"x": images(64, seed=2)}
    name = graph.outputs[0].name
    exact = outputs_of(graph, fresh)[name]
    errors = [
        np.mean((outputs_of(small, fresh)[name] - exact) ** 2)
        for small in (
            prune_channels(graph, 0.3, calibration=feeds, multiple=1, refit=refit)
            for refit in (False, True)
        )
    ]
    assert errors[1] < 0.7 * errors[0]


def test_few_rows_do_not_spoil_a_refit() -> None:
    graph = network()
    small = prune_channels(graph, 0.3, calibration={"x": images(1)})
    assert all(np.isfinite(t.data).all() for t in small.tensors.values() if t.data is not None)


def test_taylor_knows_what_the_output_does_not_read() -> None:
    graph = network()
    weights = graph.data("w5").copy()
    weights[:, :12] = 0
    tensors = {**graph.tensors, "w5": Tensor("w5", weights.shape, weights)}
    graph = replace(graph, tensors=tensors)
    found = structure(graph)
    score = importance(graph, found, "taylor", {"x": images(32)})
    units = found.channels["conv2d_2"].units
    assert score[units[:12]].max() == 0 < score[units[12:]].min()


def test_a_batch_norm_counts_as_if_folded() -> None:
    net = Net((1, 8, 8, 3))
    scale = np.array([1.0, -5.0, 0.1, 2.0])
    wide = net.conv("x", 4, clip=NO_CLIP)
    weights = net.tensors["w0"]
    assert weights.data is not None
    weights.data[:] = 1
    normed = net.node("batch_norm", wide, net.constant("s", scale), net.constant("t", scale))
    graph = net.graph(net.dense(net.pool(normed), 2))
    found = structure(graph)
    score = importance(graph, found, "magnitude")
    assert np.argsort(score[found.groups[0].units,]).tolist() == [2, 0, 3, 1]


def test_hints_of_a_quantized_model_are_cut_along() -> None:
    graph = network()
    graph = replace(graph, hints={"w0": Hint(tuple(float(v) for v in range(1, 17)))})
    small = prune_channels(graph, 0.5, importance="magnitude", scope="layer")
    assert len(small.hints["w0"].scale) == small.shape("w0")[0]


@pytest.mark.parametrize(
    ("amount", "options", "line"),
    [
        (1.5, {}, "structured pruning: the amount 1.5 is outside 0..1. 0.5 removes half."),
        (-0.1, {}, "structured pruning: the amount -0.1 is outside 0..1. 0.5 removes half."),
        (float("nan"), {}, "structured pruning: the amount nan is outside 0..1. 0.5 removes half."),
        (0.5, {"multiple": 0}, "structured pruning: channels in multiples of 0. Give 1 or more."),
        (0.5, {"scope": "all"}, "scope: 'all' is not one of global, layer."),
        (0.5, {"measure": "time"}, "measure: 'time' is not one of macs, weights, channels."),
        (0.5, {"importance": "luck"}, "importance: 'luck' is not one of taylor, magnitude, l1."),
        (
            0.5,
            {"importance": "taylor"},
            "small: the importance 'taylor' needs typical inputs. "
            "Give calibration data, or take importance 'magnitude'.",
        ),
        (
            0.5,
            {"only": "conv2_2"},
            "small: no layer matches 'conv2_2'. Did you mean 'conv2d_2'.",
        ),
        (
            0.5,
            {"only": "dense*"},
            "small: no channel can be removed (they are inputs, outputs, or of grouped "
            "convolutions). Name other layers, or prune their weights instead.",
        ),
        (
            1.0,
            {},
            "small: removing 100% of the macs would empty a layer, such as 'conv2d_0'. "
            "Ask for at most 83.3%, or a multiple below 4.",
        ),
    ],
)
def test_bad_requests_get_one_line(amount: float, options: dict[str, str], line: str) -> None:
    with pytest.raises(McuqError) as caught:
        prune_channels(network(), amount, **{"importance": "magnitude", **options})  # type: ignore[arg-type]
    assert str(caught.value) == line


def test_the_amount_that_is_offered_is_possible() -> None:
    prune_channels(network(), 0.833, importance="magnitude")


def test_layers_tied_to_others_are_named() -> None:
    with pytest.raises(McuqError, match="tied to those of 'conv2d_0'"):
        prune_channels(residual_network(), 0.5, importance="magnitude", only="conv2d_2")


def test_patterns_name_layers() -> None:
    assert layers_matching(network(), ["conv2d_?", "dense*"]) == {"conv2d_0", "conv2d_2", "dense_5"}
