"""Graph -> ONNX -> Graph: other tools and mcuq itself read the same network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import random_networks
from onnx.reference import ReferenceEvaluator
from onnx_models import feeds_for, model, node, ops, random, run_graph, save
from small_networks import NO_CLIP, Net, residual_network

from mcuq import exporters, importers
from mcuq.errors import ModelError
from mcuq.ir import Graph, Node
from mcuq.passes import pipeline
from mcuq.passes.describe_input import describe

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"


def round_trip(graph: Graph, folder: Path) -> Graph:
    """The graph read back, after comparing it and onnx's evaluator with ``graph``."""
    path = exporters.save(graph, folder / "written.onnx")
    back = pipeline.run(importers.load(path))
    feeds = feeds_for(graph)
    wanted, found = run_graph(graph, feeds), run_graph(back, feeds)
    with np.errstate(over="ignore", invalid="ignore"):
        evaluated = ReferenceEvaluator(str(path)).run(None, feeds)
    for port, real in zip(graph.outputs, evaluated, strict=True):
        scale = max(1.0, float(np.abs(wanted[port.name]).max()))
        for other in (found[port.name], real.reshape(wanted[port.name].shape)):
            np.testing.assert_allclose(other, wanted[port.name], rtol=1e-4, atol=1e-4 * scale)
    assert [p.shape for p in back.inputs] == [p.shape for p in graph.inputs]
    assert [p.name for p in back.outputs] == [p.name for p in graph.outputs]
    return back


WRITTEN = 16


@pytest.mark.parametrize("seed", range(WRITTEN))
def test_random_networks(seed: int, tmp_path: Path) -> None:
    """Only a state that starts at something cannot be written: it leaves nothing."""
    graph = pipeline.run(importers.load(save(random_networks.model(seed), tmp_path)))
    starts = [n for o in graph.nodes if o.op in ("lstm", "gru", "rnn") for n in o.inputs[4:]]
    if not any(graph.data(name).any() for name in starts):
        round_trip(graph, tmp_path)
        return
    with pytest.raises(ModelError, match="a state that does not start at 0"):
        exporters.save(graph, tmp_path / "written.onnx")
    assert not (tmp_path / "written.onnx").exists()


SEQUENCES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "lstm": ("LSTM", 4, {}),
    "lstm, backward": ("LSTM", 4, {"direction": "reverse"}),
    "gru": ("GRU", 3, {"linear_before_reset": 1}),
    "gru, before": ("GRU", 3, {}),
    "rnn": ("RNN", 1, {}),
    "rnn, backward": ("RNN", 1, {"direction": "reverse"}),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_recurrent_layers(name: str, tmp_path: Path) -> None:
    """All states and the last one."""
    op, gates, attrs = SEQUENCES[name]
    constants = {
        "w": random(1, 5 * gates, 4), "r": random(1, 5 * gates, 5), "b": random(1, 10 * gates),
        "one": np.array([1]), "zero": np.array([0]),
    }  # fmt: skip
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node(op, "t w r b", "s l", hidden_size=5, **attrs), node("Squeeze", "s one", "all"),
        node("Transpose", "all", "y", perm=[1, 0, 2]), node("Squeeze", "l zero", "last"),
    ]  # fmt: skip
    proto = model(nodes, constants, {"x": ("N", 7, 4)}, "y last")
    graph = pipeline.run(importers.load(save(proto, tmp_path)))
    back = round_trip(graph, tmp_path)
    assert ops(back).count(op.lower()) == ops(graph).count(op.lower())


def test_a_state_that_starts_at_something_is_refused(tmp_path: Path) -> None:
    constants = {"w": random(1, 5, 4), "r": random(1, 5, 5), "h": random(1, 1, 5)}
    proto = model([node("RNN", "x w r - - h", "y", hidden_size=5)], constants, {"x": (7, 1, 4)})
    graph = pipeline.run(importers.load(save(proto, tmp_path)))
    with pytest.raises(ModelError, match="a state that does not start at 0"):
        exporters.check(graph)


PRODUCTS: dict[str, tuple[list[Any], list[str]]] = {
    "attention": (
        [node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("MatMul", "x t", "m"),
         node("Softmax", "m", "s"), node("MatMul", "s x", "y")],
        ["matmul", "softmax", "matmul"],
    ),
    "a slice of an operand": (
        [node("Slice", "x b e c", "p"), node("Transpose", "p", "t", perm=[0, 1, 3, 2]),
         node("MatMul", "x t", "y")],
        ["matmul"],
    ),
    "a norm of rows": ([node("LayerNormalization", "x g h", "y")], ["normalize"]),
    "a norm of channels": ([node("InstanceNormalization", "x i j", "y")], ["normalize"]),
    "a norm of groups": (
        [node("Reshape", "x gs", "r"), node("InstanceNormalization", "r o z", "n"),
         node("Reshape", "n xs", "u"), node("Mul", "u k", "m"), node("Relu", "m", "y")],
        ["normalize"],
    ),
    "a norm by squares": (
        [node("Mul", "x x", "q"), node("ReduceMean", "q", "m", axes=[-1]),
         node("Add", "m eps", "p"), node("Sqrt", "p", "s"), node("Div", "x s", "d"),
         node("Mul", "d g", "y")],
        ["normalize"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_and_norms(name: str, tmp_path: Path) -> None:
    nodes, wanted = PRODUCTS[name]
    constants = {
        "b": np.array([1]), "e": np.array([4]), "c": np.array([2]), "g": random(5),
        "h": random(5), "i": random(4), "j": random(4), "gs": np.array([-1, 2, 60]),
        "o": np.ones(2, np.float32), "z": np.zeros(2, np.float32), "eps": np.float32(1e-3),
        "xs": np.array([-1, 4, 6, 5]), "k": random(4, 1, 1),
    }  # fmt: skip
    graph = pipeline.run(importers.load(save(model(nodes, constants), tmp_path)))
    back = round_trip(graph, tmp_path)
    moves = ("copy", "transpose", "reshape")
    assert [op for op in ops(back) if op not in moves] == wanted


def test_the_same_nodes_and_the_same_bits(tmp_path: Path) -> None:
    graph = pipeline.run(importers.load(DIGITS))
    back = round_trip(graph, tmp_path)
    assert [(n.op, n.name, n.outputs) for n in back.nodes] == [
        (n.op, n.name, n.outputs) for n in graph.nodes
    ]
    for name, tensor in graph.tensors.items():
        if tensor.data is not None:
            assert np.array_equal(back.data(name), tensor.data)
    feeds = feeds_for(graph)
    wanted, found = run_graph(graph, feeds), run_graph(back, feeds)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


def test_the_same_file_twice(tmp_path: Path) -> None:
    graph = pipeline.run(importers.load(DIGITS))
    one, two = (exporters.save(graph, tmp_path / name).read_bytes() for name in ("a", "b"))
    assert one == two


def test_images_are_channels_first_and_the_batch_is_free(tmp_path: Path) -> None:
    graph = pipeline.run(importers.load(DIGITS))
    proto = onnx.load(exporters.save(graph, tmp_path / "net.onnx"))
    (value,) = proto.graph.input
    dims = [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
    assert dims == ["N", 1, 8, 8]
    assert not {"Transpose", "Reshape"} & {n.op_type for n in proto.graph.node}
    assert proto.opset_import[0].version == 17
    feeds = (
        {"input": random(3, 1, 8, 8)} if value.name == "input" else {value.name: random(3, 1, 8, 8)}
    )
    assert len(ReferenceEvaluator(proto).run(None, feeds)[0]) == 3


def test_a_graph_by_hand_in_channels_last(tmp_path: Path) -> None:
    """Its input port is (1, H, W, C): the file transposes."""
    back = round_trip(residual_network(), tmp_path)
    assert [n.op for n in back.nodes if n.op != "transpose"] == [
        n.op for n in residual_network().nodes
    ]


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Conv", "x w", "h", pads=[1, 1]), node("Relu", "h", "y")],
        [
            node("Conv", "x w", "h", strides=[2]),
            node("Flatten", "h", "f"),
            node("Gemm", "f g", "y"),
        ],
    ],
)
def test_one_dimensional(nodes: list[Any], tmp_path: Path) -> None:
    constants = {"w": random(4, 3, 3), "g": random(16, 5)}
    proto = model(nodes, constants, {"x": ("N", 3, 9)})
    round_trip(pipeline.run(importers.load(save(proto, tmp_path))), tmp_path)


@pytest.mark.parametrize("value", [(0.5,), (0.5, -1.0, 2.0)])
def test_padding_with_values(value: tuple[float, ...], tmp_path: Path) -> None:
    net = Net((1, 6, 5, 3))
    made = net.conv("x", 4, pad_value=value)
    widths = ((0, 0), (1, 0), (0, 2), (0, 0))
    wide = net.node("pad", "x", pads=widths, value=value)
    round_trip(net.graph(made, wide), tmp_path)


MOVED = {
    "a slice": [node("Slice", "x b e c", "h"), node("Conv", "h w", "y")],
    "channels reversed": [node("Slice", "x e f a m", "h"), node("Conv", "h w", "y")],
    "a crop of a vector": [node("Flatten", "x", "h"), node("Slice", "h b e a", "y")],
    "transposed": [node("ConvTranspose", "x v", "y", strides=[2, 2], pads=[1, 1, 0, 0])],
    "linear": [node("Resize", "x - s", "y", mode="linear")],
    "linear, corners": [node("Resize", "x - - n", "y", mode="linear",
                             coordinate_transformation_mode="align_corners")],
    "linear, cut": [node("Resize", "x - t", "y", mode="linear")],
}  # fmt: skip


@pytest.mark.parametrize("nodes", MOVED.values(), ids=MOVED)
def test_movements_and_sizes(nodes: list[Any], tmp_path: Path) -> None:
    constants = {
        "b": np.array([1]), "e": np.array([4]), "a": np.array([1]), "c": np.array([2]), 
        "m": np.array([-1]), "f": np.array([-9]),
        "w": random(3, 4, 2, 2), "v": random(4, 2, 3, 3), "n": np.array([1, 4, 7, 9]),
        "s": np.array([1, 1, 2, 3], np.float32), "t": np.array([1, 1, 1.3, 1.7], np.float32),
    }  # fmt: skip
    graph = pipeline.run(importers.load(save(model(nodes, constants, opset=18), tmp_path)))
    back = round_trip(graph, tmp_path)
    kept = [n.op for n in back.nodes] == [n.op for n in graph.nodes]
    assert kept != (nodes[0].input[-1] == "t"), "no mode gives scales that do not fit"


def test_two_outputs_of_one_tensor_and_an_input_among_them(tmp_path: Path) -> None:
    net = Net((1, 6))
    hidden = net.dense("x", 4, clip=(0.0, 6.0))
    graph = net.graph(hidden, net.node("sub", hidden, hidden, clip=NO_CLIP))
    round_trip(graph, tmp_path)


def test_names_of_ports_win(tmp_path: Path) -> None:
    """An inner tensor may be named as an output is."""
    proto = model(
        [node("Relu", "x", "y_2"), node("Sigmoid", "y_2", "h"), node("Transpose", "h", "y")],
        None,
        {"x": ("N", 4, 3, 3)},
    )
    proto.graph.node[2].attribute.append(onnx.helper.make_attribute("perm", [0, 1, 2, 3]))
    round_trip(pipeline.run(importers.load(save(proto, tmp_path))), tmp_path)


def test_described_inputs_are_refused(tmp_path: Path) -> None:
    graph = importers.load(DIGITS)
    described = pipeline.run(describe(graph, graph.inputs[0].name, "u8", 0.0, 1.0, "nhwc"))
    with pytest.raises(ModelError, match="is described as bytes"):
        exporters.save(described, tmp_path / "net.onnx")


def test_an_operator_without_a_form_is_refused(tmp_path: Path) -> None:
    net = Net((1, 6))
    net.nodes.append(Node("lut", "table", ("x",), ("y",)))
    net.tensors["y"] = net.tensors["x"]
    with pytest.raises(ModelError, match="node 'table': mcuq cannot write operator lut"):
        exporters.save(net.graph("y"), tmp_path / "net.onnx")


def test_a_softmax_with_its_scale_and_mask(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("Mul", "t half", "m"),
        node("Add", "m low", "a"), node("Softmax", "a", "y"),
    ]  # fmt: skip
    low = np.where(np.tril(np.ones((5, 5), bool)), 0, -np.inf).astype(np.float32)
    proto = model(nodes, {"half": np.float32(0.5), "low": low}, {"x": ("N", 2, 5, 5)})
    back = round_trip(pipeline.run(importers.load(save(proto, tmp_path))), tmp_path)
    (softmax,) = (n for n in back.nodes if n.op == "softmax")
    assert (softmax.attrs["scale"], len(softmax.inputs)) == (0.5, 2)
