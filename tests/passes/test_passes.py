"""Each pass keeps the numbers, and leaves the nodes it should."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import agrees, model, node, ops, random, run_graph, save
from small_networks import NO_CLIP, RELU, Net

from mcuq import importers, ir, reference
from mcuq.errors import ModelError
from mcuq.ir import Graph
from mcuq.ops.clip import both_clips
from mcuq.passes import pipeline
from mcuq.passes.describe_input import describe
from mcuq.passes.drop_identities import drop_identities
from mcuq.passes.fold_batch_norm import fold_batch_norm
from mcuq.passes.fuse_clips import fuse_clips
from mcuq.passes.join_affine import join_affine
from mcuq.passes.lower_batch_norm import lower_batch_norm
from mcuq.passes.melt_moves import melt_moves
from mcuq.passes.merge_pads import merge_pads
from mcuq.passes.use_depthwise import use_depthwise

IMAGE = (1, 6, 6, 4)
PLANE = ((0, 0), (1, 0), (2, 1), (0, 0))


def same_numbers(before: Graph, after: Graph) -> None:
    """Both graphs compute the same, and ``after`` is valid with the same ports."""
    assert list(ir.problems(after)) == []
    assert [p.name for p in after.outputs] == [p.name for p in before.outputs]
    feeds = {
        p.name: random(2, *before.shape(p.tensor)[1:], seed=i, low=-2.0, high=2.0)
        for i, p in enumerate(before.inputs)
    }
    wanted, found = (reference.outputs_of(g, feeds) for g in (before, after))
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-5, atol=2e-5)


def norm(net: Net, x: str, shift: float = 1.0) -> str:
    channels = net.tensors[x].shape[-1]
    index = len(net.nodes)
    scale = net.constant(f"scale{index}", random(channels, low=0.5, high=2.0))
    offset = net.constant(f"shift{index}", shift * random(channels, seed=9))
    return net.node("batch_norm", x, scale, offset)


def clip(net: Net, x: str, low: float = 0.0, high: float = 6.0) -> str:
    return net.node("clip", x, low=low, high=high)


def check(net: Net, run: Any, wanted: str, *outputs: str) -> Graph:
    before = net.graph(*(outputs or (net.nodes[-1].output,)))
    after = run(before)
    assert isinstance(after, Graph)
    assert ops(after) == wanted.split()
    same_numbers(before, after)
    return after


def test_norm_after_conv_depthwise_and_dense() -> None:
    net = Net(IMAGE)
    x = norm(net, net.conv("x", 8, clip=NO_CLIP))
    x = norm(net, net.depthwise(x, clip=NO_CLIP))
    norm(net, net.dense(net.pool(x), 3))
    check(net, fold_batch_norm, "conv2d depthwise_conv2d avg_pool2d reshape dense")


def test_norm_after_an_activation_or_with_other_readers_stays() -> None:
    net = Net(IMAGE)
    norm(net, net.conv("x", 8, clip=RELU))
    check(net, fold_batch_norm, "conv2d batch_norm")
    net = Net(IMAGE)
    x = net.conv("x", 8, clip=NO_CLIP)
    check(net, fold_batch_norm, "conv2d batch_norm", norm(net, x), x)


@pytest.mark.parametrize("kernel", [1, 3])
def test_norm_before_conv(kernel: int) -> None:
    """Padding means 0 after the norm: at the network's input it becomes the value before it."""
    net = Net(IMAGE)
    net.conv(norm(net, "x"), 8, kernel=kernel)
    check(net, fold_batch_norm, "conv2d")
    net = Net(IMAGE)
    net.conv(norm(net, clip(net, "x")), 8, kernel=kernel)
    check(net, fold_batch_norm, "clip conv2d" if kernel == 1 else "clip batch_norm conv2d")
    net = Net(IMAGE)
    net.conv(norm(net, clip(net, "x"), shift=0.0), 8, kernel=kernel)
    check(net, fold_batch_norm, "clip conv2d")


def test_norm_before_grouped_and_depthwise_conv_and_dense() -> None:
    net = Net(IMAGE)
    x = norm(net, "x")
    weights = net.constant("w", random(6, 3, 3, 2))
    bias = net.constant("b", random(6))
    x = net.node(
        "conv2d", x, weights, bias, strides=(1, 1), dilations=(1, 1), pads=(0, 0, 0, 0), groups=2,
        clip=RELU, pad_value=(0.0,),
    )  # fmt: skip
    x = net.depthwise(norm(net, x), kernel=1)
    x = norm(net, x)
    net.dense(net.node("reshape", x, shape=(1, 96)), 3)
    check(net, fold_batch_norm, "conv2d depthwise_conv2d reshape dense")


def test_norm_without_a_neighbour_becomes_depthwise() -> None:
    net = Net(IMAGE)
    norm(net, "x")
    check(net, lower_batch_norm, "depthwise_conv2d")
    net = Net((1, 5))
    norm(net, "x")
    check(net, lower_batch_norm, "reshape depthwise_conv2d reshape")


def test_shared_constants_are_not_changed() -> None:
    net = Net(IMAGE)
    first = net.conv("x", 4, clip=NO_CLIP)
    twin = net.nodes[-1]
    second = net.node("conv2d", "x", *twin.inputs[1:], **twin.attrs)
    check(net, fold_batch_norm, "conv2d conv2d", norm(net, first), second)


@pytest.mark.parametrize("value", [0.5, [0.5, -1.0, 2.0, 0.1, 1.5, 3.0]])
@pytest.mark.parametrize("chain", ["mul", "add", "sub", "mul add", "sub mul", "add mul sub"])
def test_constants_after_a_conv_fold(chain: str, value: Any) -> None:
    net = Net(IMAGE)
    x = net.conv("x", 6, clip=NO_CLIP)
    for index, op in enumerate(chain.split()):
        x = net.node(op, x, net.constant(f"c{index}", np.array(value)), clip=NO_CLIP)
    check(net, lambda g: fold_batch_norm(join_affine(g)), "conv2d")


def test_constant_first_and_before_a_conv() -> None:
    net = Net(IMAGE)
    x = net.node("sub", net.constant("c", [1.0]), "x", clip=NO_CLIP)
    x = net.node("mul", x, net.constant("d", [0.25]), clip=NO_CLIP)
    net.conv(x, 6)
    check(net, lambda g: fold_batch_norm(join_affine(g)), "conv2d")


def test_constants_elsewhere_stay() -> None:
    net = Net(IMAGE)
    x = net.node("mul", clip(net, "x"), net.constant("d", [0.25]), clip=NO_CLIP)
    clip(net, x)
    check(net, join_affine, "clip mul clip")


def test_one_channel_groups_become_depthwise(tmp_path: Path) -> None:
    proto = model([node("Conv", "x w", "y", group=4)], {"w": random(8, 1, 3, 3)})
    graph = importers.load(save(proto, tmp_path))
    after = use_depthwise(graph)
    assert ops(after) == ["depthwise_conv2d"]
    assert after.shape("w") == (3, 3, 8)
    same_numbers(graph, after)


def test_clips_fuse_into_their_producer() -> None:
    net = Net(IMAGE)
    x = clip(net, net.conv("x", 4, clip=NO_CLIP))
    x = clip(net, net.node("add", x, "x", clip=NO_CLIP), -1.0, 1.0)
    x = clip(net, clip(net, net.depthwise(x, clip=RELU), -3.0, 3.0), 0.5, 9.0)
    clip(net, net.dense(net.pool(x), 3))
    after = check(net, fuse_clips, "conv2d add depthwise_conv2d avg_pool2d reshape dense")
    assert after.nodes[2].attrs["clip"] == (0.5, 3.0)


def test_clips_move_before_maxima_and_views() -> None:
    net = Net(IMAGE)
    x = net.conv("x", 4, clip=NO_CLIP)
    x = net.node(
        "max_pool2d", x, kernel=(2, 2), strides=(2, 2), dilations=(1, 1), pads=(0, 0, 0, 0)
    )
    clip(net, net.node("reshape", x, shape=(1, 36)))
    check(net, fuse_clips, "conv2d max_pool2d reshape")


def test_clips_with_other_readers_stay() -> None:
    net = Net(IMAGE)
    x = net.conv("x", 4, clip=NO_CLIP)
    check(net, fuse_clips, "conv2d clip", clip(net, x), x)
    net = Net(IMAGE)
    clip(net, net.node("sigmoid", "x"))
    check(net, fuse_clips, "sigmoid clip")


@pytest.mark.parametrize(
    ("first", "then", "both"),
    [
        ((0, math.inf), (0, 6), (0, 6)),
        ((0, 6), (-1, 3), (0, 3)),
        ((0, 1), (2, 3), (2, 2)),
        ((2, 3), (0, 1), (1, 1)),
    ],
)
def test_clips_in_a_row(first: Any, then: Any, both: Any) -> None:
    assert both_clips(first, then) == both


@pytest.mark.parametrize("value", [(0.0,), (1.5,), (1.0, -1.0, 0.5, 0.0)])
def test_pads_merge_into_convolutions(value: Any) -> None:
    net = Net(IMAGE)
    x = net.node("pad", "x", pads=PLANE, value=value)
    net.conv(x, 6, pads=(0, 0, 0, 0))
    after = check(net, merge_pads, "conv2d")
    assert after.nodes[0].attrs["pads"] == (1, 2, 0, 1)
    net = Net(IMAGE)
    net.conv(net.node("pad", "x", pads=PLANE, value=value), 6)
    check(net, merge_pads, "conv2d" if value == (0.0,) else "pad conv2d")


def test_pads_merge_into_pools_where_that_is_the_same() -> None:
    def pooled(op: str, value: float, relu: bool, **attrs: Any) -> Net:
        net = Net(IMAGE)
        x = clip(net, "x") if relu else "x"
        x = net.node("pad", x, pads=PLANE, value=(value,))
        net.node(op, x, kernel=(3, 3), strides=(2, 2), pads=(0, 0, 0, 0), **attrs)
        return net

    average = {"include_pad": False, "clip": NO_CLIP}
    maximum = {"dilations": (1, 1)}
    check(pooled("avg_pool2d", 0.0, False, **average), merge_pads, "avg_pool2d")
    check(pooled("avg_pool2d", 1.0, False, **average), merge_pads, "pad avg_pool2d")
    check(pooled("max_pool2d", 0.0, True, **maximum), merge_pads, "clip max_pool2d")
    check(pooled("max_pool2d", 0.0, False, **maximum), merge_pads, "pad max_pool2d")


def test_pads_of_channels_stay() -> None:
    net = Net(IMAGE)
    x = net.node("pad", "x", pads=((0, 0), (0, 0), (0, 0), (0, 1)), value=(0.0,))
    net.conv(x, 6)
    check(net, merge_pads, "pad conv2d")


def test_identities_go() -> None:
    net = Net(IMAGE)
    x = clip(net, net.conv("x", 4), -math.inf, math.inf)
    x = net.node("reshape", x, shape=IMAGE)
    x = net.node("transpose", x, perm=(0, 1, 2, 3))
    x = net.node("add", x, net.constant("zero", [0.0]), clip=NO_CLIP)
    x = net.node("mul", x, net.constant("one", [1.0] * 4), clip=NO_CLIP)
    x = net.node("pad", x, pads=((0, 0),) * 4, value=(0.0,))
    x = net.node("concat", x, axis=3)
    single = {"kernel": (1, 1), "strides": (1, 1), "pads": (0, 0, 0, 0)}
    x = net.node("max_pool2d", x, dilations=(1, 1), **single)
    net.node("avg_pool2d", x, include_pad=False, clip=NO_CLIP, **single)
    after = check(net, drop_identities, "conv2d")
    assert after.outputs[0].tensor == after.nodes[0].output


def test_views_of_views_join() -> None:
    net = Net(IMAGE)
    x = net.node("reshape", net.conv("x", 4), shape=(1, 6, 24))
    x = net.node("reshape", x, shape=(1, 144))
    net.dense(x, 3)
    check(net, drop_identities, "conv2d reshape dense")
    net = Net((1, 1, 6, 4))
    net.node("transpose", net.conv("x", 4), perm=(0, 2, 1, 3))
    check(net, drop_identities, "conv2d reshape")


def test_identities_between_ports_stay() -> None:
    net = Net(IMAGE)
    net.node("reshape", "x", shape=IMAGE)
    check(net, drop_identities, "reshape")
    net = Net(IMAGE)
    x = net.conv("x", 4)
    y = net.node("reshape", x, shape=IMAGE)
    check(net, drop_identities, "conv2d reshape", x, y)


def test_the_pipeline_names_the_pass_that_broke_the_graph() -> None:
    net = Net(IMAGE)
    net.conv("x", 4)

    def broken(graph: Graph) -> Graph:
        return replace(graph, nodes=())

    with pytest.raises(pipeline.BrokenPassError, match="pass broken: output"):
        pipeline.run(net.graph("conv2d_0"), (("broken", broken),))


def test_the_pipeline_is_stable() -> None:
    net = Net(IMAGE)
    x = clip(net, norm(net, net.conv("x", 4, clip=NO_CLIP)))
    net.dense(net.pool(norm(net, x)), 3)
    once = pipeline.run(net.graph(net.nodes[-1].output))
    assert ops(pipeline.run(once)) == ops(once)
    assert not {"batch_norm", "clip"}.intersection(ops(once))


MEAN, STD = (120.0, 100.0, 90.0, 50.0), (60.0, 50.0, 40.0, 30.0)
CONV = node("Conv", "x w b", "y", pads=[1, 1, 1, 1])
WEIGHTS = {"w": random(6, 4, 3, 3), "b": random(6)}


def described(nodes: Any, constants: Any, folder: Path, **how: Any) -> Graph:
    """The pass keeps the numbers: bytes in give what normalised reals gave."""
    plain = importers.load(save(model(nodes, constants), folder))
    graph = pipeline.run(describe(plain, "x", **how))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 5)).astype(np.float32)
    spread = (-1, 1, 1)
    mean = np.reshape(how.get("mean", 0.0), spread)
    std = np.reshape(how.get("std", 1.0), spread)
    wanted = run_graph(plain, {"x": ((pixels - mean) / std).astype(np.float32)})["y"]
    found = run_graph(graph, {"x": pixels})["y"]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert graph.inputs[0].kind == "u8"
    return graph


def test_bytes_fold_into_the_first_layer(tmp_path: Path) -> None:
    graph = described([CONV], WEIGHTS, tmp_path, mean=MEAN, std=STD)
    assert ops(graph) == ["conv2d"]
    assert graph.nodes[0].attrs["pad_value"] == pytest.approx(MEAN)
    assert graph.shape("x") == (1, 6, 5, 4)
    assert graph.inputs[0].offset == MEAN
    assert graph.inputs[0].scale == pytest.approx([1 / s for s in STD])


def test_bytes_with_one_mean(tmp_path: Path) -> None:
    graph = described([CONV], WEIGHTS, tmp_path, mean=127.5, std=127.5)
    assert graph.nodes[0].attrs["pad_value"] == pytest.approx((127.5,))


def test_bytes_fold_through_pads_and_into_several_layers(tmp_path: Path) -> None:
    nodes = [
        node("Pad", "x p", "q"),
        node("Conv", "q w b", "c"),
        node("Conv", "x v", "d", group=4, pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", "c", "g"),
        node("GlobalAveragePool", "d", "h"),
        node("Concat", "g h", "y", axis=1),
    ]
    pads = {"p": np.array([0, 0, 1, 0, 0, 0, 1, 2]), "v": random(8, 1, 3, 3)}
    graph = described(nodes, {**WEIGHTS, **pads}, tmp_path, mean=MEAN, std=STD)
    assert sorted(ops(graph)) == [
        "avg_pool2d", "avg_pool2d", "concat", "conv2d", "depthwise_conv2d",
    ]  # fmt: skip


def test_bytes_and_the_model_s_own_normalisation(tmp_path: Path) -> None:
    nodes = [
        node("Div", "x k", "d"),
        node("Sub", "d m", "s"),
        node("Conv", "s w", "y", pads=[1] * 4),
    ]
    constants = {"k": np.float32(255), "m": random(4, 1, 1), "w": WEIGHTS["w"]}
    assert ops(described(nodes, constants, tmp_path)) == ["conv2d"]


def test_bytes_before_other_layers_become_reals_first(tmp_path: Path) -> None:
    nodes = [node("Sigmoid", "x", "y")]
    graph = described(nodes, {}, tmp_path, mean=MEAN, std=STD)
    assert ops(graph) == ["depthwise_conv2d", "sigmoid"]


def test_bytes_of_a_flattened_image_are_channels_last(tmp_path: Path) -> None:
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f g", "y")]
    graph = described(nodes, {"g": random(120, 3)}, tmp_path, mean=MEAN, std=STD)
    assert graph.shape("x") == (1, 6, 5, 4)


def test_layout_nchw_adds_a_transpose(tmp_path: Path) -> None:
    graph = described([CONV], WEIGHTS, tmp_path, mean=MEAN, std=STD, layout="nchw")
    assert ops(graph) == ["transpose", "conv2d"]
    assert graph.shape("x") == (1, 4, 6, 5)
    assert graph.inputs[0].order is not None
    assert graph.inputs[0].order.tolist() == list(range(120))


@pytest.mark.parametrize(
    ("name", "how", "reason"),
    [
        ("xx", {}, "has no input 'xx'. Did you mean 'x'"),
        ("x", {"kind": "u16"}, "unknown kind 'u16'"),
        ("x", {"layout": "chw"}, "unknown layout 'chw'"),
        ("x", {"std": 0.0}, "std is not above 0"),
        ("x", {"std": (1.0, 0.0, 1.0, 1.0)}, "std is not above 0"),
        ("x", {"mean": (1.0, 2.0)}, "mean has 2 values for 4 channels"),
        ("x", {"mean": math.nan}, "not finite"),
        ("x", {"kind": "s8", "mean": 3.0}, "mean and std describe bytes"),
        ("x", {"std": 5e-324}, "reals beyond 1e+30"),
        ("x", {"std": 1e35}, "or all alike"),
        ("x", {"mean": 1e20, "std": 1e-20}, "reals beyond 1e+30"),
    ],
)
def test_descriptions_that_do_not_fit(name: str, how: Any, reason: str, tmp_path: Path) -> None:
    graph = importers.load(save(model([CONV], WEIGHTS), tmp_path))
    with pytest.raises(ModelError) as caught:
        describe(graph, name, **how)
    assert reason in str(caught.value)


def test_two_descriptions_of_one_input(tmp_path: Path) -> None:
    graph = describe(importers.load(save(model([CONV], WEIGHTS), tmp_path)), "x")
    with pytest.raises(ModelError, match="described twice"):
        describe(graph, "x")


def test_names_of_outputs_survive(tmp_path: Path) -> None:
    nodes = [CONV, node("Relu", "y", "out")]
    graph = agrees(model(nodes, WEIGHTS, outputs="out"), tmp_path)
    assert [n.output for n in graph.nodes] == ["out"]


def test_movements_in_a_row_become_one(tmp_path: Path) -> None:
    """A slice, space to depth, a slice; the views between them go too."""
    nodes = [
        node("Tanh", "x", "h"),
        node("Slice", "h b e a", "s"),
        node("SpaceToDepth", "s", "d", blocksize=2),
        node("Slice", "d b c o", "t"),
        node("Conv", "t w", "y"),
    ]
    constants = {
        "b": np.array([1]), "e": np.array([5]), "a": np.array([2]), "c": np.array([14]),
        "o": np.array([1]), "w": random(3, 13, 1, 1),
    }  # fmt: skip
    graph = agrees(model(nodes, constants, {"x": (1, 4, 6, 6)}), tmp_path, rows=1)
    assert ops(graph) == ["tanh", "copy", "conv2d"]


def test_parts_joined_again_are_the_whole(tmp_path: Path) -> None:
    nodes = [
        node("Tanh", "x", "h"),
        node("Split", "h", "p q", axis=1),
        node("Concat", "p q", "c", axis=1),
        node("Relu", "c", "y"),
    ]
    graph = agrees(model(nodes), tmp_path)
    assert ops(graph) == ["tanh", "clip"]


def test_what_is_taken_of_one_operand_of_a_concat_reads_that_operand() -> None:
    """Last states of two layers lie in one tensor, of which the network reads one."""
    net = Net(IMAGE)
    a, b = (net.node("sigmoid", "x"), net.node("tanh", "x"))
    joined = net.node("concat", a, b, axis=3)
    loops = {"places": (4,), "sizes": (36, 4), "strides": (8, 1)}
    taken = net.node("copy", joined, shape=IMAGE, **loops)
    check(net, melt_moves, "tanh reshape", taken)
    mixed = net.node("copy", joined, shape=(1, 4), places=(2,), sizes=(4,), strides=(1,))
    check(net, melt_moves, "sigmoid tanh concat copy", mixed)


def test_every_other_pixel_beside_each_other_is_one_copy(tmp_path: Path) -> None:
    """Four slices and a concat, as detectors begin."""
    nodes = [node("Tanh", "x", "h")]
    constants = {"e": np.array([6, 6]), "a": np.array([2, 3]), "t": np.array([2, 2])}
    for index, start in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        constants[f"b{index}"] = np.array(start)
        nodes.append(node("Slice", f"h b{index} e a t", f"s{index}"))
    nodes += [node("Concat", "s0 s1 s2 s3", "c", axis=1), node("Conv", "c w", "y")]
    constants["w"] = random(3, 12, 3, 3)
    graph = agrees(model(nodes, constants, {"x": (1, 3, 6, 6)}), tmp_path, rows=1)
    assert ops(graph) == ["tanh", "copy", "conv2d"]


def test_a_movement_that_others_read_stays(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "h"),
        node("Slice", "h b e a", "s"),
        node("Slice", "s b c a", "t"),
        node("Relu", "s", "z"),
        node("Relu", "t", "y"),
    ]
    constants = {
        "w": random(6, 4, 1, 1), "b": np.array([1]), "e": np.array([5]), "c": np.array([3]),
        "a": np.array([1]),
    }  # fmt: skip
    graph = agrees(model(nodes, constants, outputs="y z"), tmp_path)
    assert ops(graph).count("copy") == 2


def test_a_norm_behind_a_transposed_convolution_folds(tmp_path: Path) -> None:
    nodes = [
        node("ConvTranspose", "x w b", "h", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("BatchNormalization", "h s o m v", "n"),
        node("Mul", "n k", "p"),
        node("Relu", "p", "y"),
    ]
    constants = {
        "w": random(4, 3, 4, 4), "b": random(3), "s": random(3), "o": random(3, seed=1),
        "m": random(3, seed=2), "v": random(3, low=1.0, high=2.0),
        "k": random(1, 3, 1, 1, low=0.5),
    }  # fmt: skip
    graph = agrees(model(nodes, constants), tmp_path)
    assert ops(graph) == ["conv2d", "copy"]


def test_a_norm_behind_a_slice_of_shared_channels_stays(tmp_path: Path) -> None:
    """Each channel of the layer goes to two of the copy."""
    nodes = [
        node("Conv", "x w", "h"),
        node("Tile", "h n", "t"),
        node("BatchNormalization", "t s o m v", "y"),
    ]
    constants = {
        "w": random(3, 4, 1, 1), "n": np.array([1, 2, 1, 1]), "s": random(6), "o": random(6),
        "m": random(6, seed=2), "v": random(6, low=1.0, high=2.0),
    }  # fmt: skip
    graph = agrees(model(nodes, constants), tmp_path)
    assert ops(graph) == ["conv2d", "copy", "depthwise_conv2d"]


CROPS = {
    "both ends": ("Conv", "x w", {"pads": [2, 2, 2, 2]}, (1, 1, 7, 6), [1, 1, 1, 1]),
    "the end, as causal layers are cut": ("Conv", "x w", {"pads": [2, 2, 2, 2]}, (0, 0, 6, 5),
                                          [2, 2, 0, 0]),
    "with strides": ("Conv", "x w", {"pads": [3, 2, 1, 2], "strides": [2, 2]}, (1, 1, 4, 4),
                     [1, 0, 1, 2]),
    "without padding": ("Conv", "x w", {"strides": [2, 1]}, (0, 0, 1, 3), None),
    "more than the padding": ("Conv", "x w", {"pads": [1, 1, 1, 1]}, (2, 1, 6, 5), None),
    "of a pool": ("MaxPool", "x", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, (1, 0, 6, 5),
                  [0, 1, 1, 1]),
    "of means": ("AveragePool", "x", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, (0, 1, 6, 5),
                 [1, 0, 1, 1]),
}  # fmt: skip


@pytest.mark.parametrize("case", CROPS.values(), ids=CROPS)
def test_a_crop_behind_a_layer_is_smaller_pads(case: Any, tmp_path: Path) -> None:
    op, inputs, attrs, (top, left, bottom, right), pads = case
    nodes = [node(op, inputs, "h", **attrs), node("Slice", "h b e a", "s"), node("Relu", "s", "y")]
    constants = {
        "w": random(3, 4, 3, 3), "b": np.array([top, left]), "e": np.array([bottom, right]),
        "a": np.array([2, 3]),
    }  # fmt: skip
    graph = agrees(model(nodes, constants), tmp_path)
    assert ("copy" in ops(graph)) == (pads is None)
    assert pads is None or list(graph.nodes[0].ints("pads")) == pads


def test_phases_that_follow_each_other_are_a_view(tmp_path: Path) -> None:
    """A line of twice the length, each half of the channels one phase."""
    nodes = [node("ConvTranspose", "x w", "h", strides=[2]), node("Relu", "h", "y")]
    proto = model(nodes, {"w": random(4, 3, 2)}, {"x": (1, 4, 9)})
    assert ops(agrees(proto, tmp_path, rows=1)) == ["conv2d", "reshape"]
