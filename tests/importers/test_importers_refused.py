"""What cannot be imported: one line each, naming the node and what to do, all at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx_models import model, node, random, save

from mcuq import importers
from mcuq.errors import ManyErrors, McuqError

W = random(6, 4, 3, 3)


def refused(proto: Any, folder: Path) -> list[str]:
    return [str(e) for e in importers.problems_of(save(proto, folder))]


REFUSED = {
    "LSTM": model([node("LSTM", "x w r", "y")], {"w": W, "r": W}),
    "Resize": model(
        [node("Resize", "x - s", "y", mode="linear",
              coordinate_transformation_mode="align_corners")],
        {"s": np.array([1, 1, 0.4, 0.4], np.float32)},
    ),
    "ConvTranspose": model([node("ConvTranspose", "x w", "y")], {"w": W}),
    "Unique": model([node("Unique", "x", "y")]),
    "Conv": model(
        [node("Conv", "x w", "y")], {"w": random(6, 4, 2, 2, 2, 2)}, {"x": ("N", 4, 3, 3, 3, 3)}
    ),
    "Pad": model([node("Pad", "x p", "y")], {"p": np.ones(8, np.int64)}),
    "AveragePool": model(
        [node("AveragePool", "x", "y", kernel_shape=[2, 2], dilations=[2, 2],
              pads=[3, 3, 3, 3])], opset=19
    ),
    "MaxPool": model(
        [node("MaxPool", "x", "y", kernel_shape=[2, 2], strides=[2, 2], auto_pad="VALID",
              ceil_mode=1)]
    ),
    "PRelu": model([node("PRelu", "x x", "y")]),
    "Concat": model([node("Concat", "x x", "y", axis=0)]),
    "ReduceMean": model([node("ReduceMean", "x", "y", axes=[0, 1])]),
    "ArgMax": model([node("ArgMax", "x", "y", axis=0)]),
    "Add": model([node("ArgMax", "x", "i", axis=1), node("Add", "i i", "y")]),
    "Pow": model([node("Pow", "x x", "y")]),
}  # fmt: skip


@pytest.mark.parametrize("op", REFUSED)
def test_refused_with_node_and_remedy(op: str, tmp_path: Path) -> None:
    lines = refused(REFUSED[op], tmp_path)
    assert lines
    assert lines[0].startswith(f"net.onnx: node '{op}:")
    assert lines[0].count(". ") >= 1, "no remedy"


def test_all_problems_at_once(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("Det", "c", "e"),
        node("Relu", "e", "r"),
        node("Unique", "r", "z"),
        node("NonZero", "c", "y"),
        node("Add", "z y", "out"),
    ]
    lines = refused(model(nodes, {"w": W}, outputs="out"), tmp_path)
    assert [line.split("'")[1] for line in lines] == ["Det:e", "Unique:z", "NonZero:y"]
    with pytest.raises(ManyErrors):
        importers.load(tmp_path / "net.onnx")


def test_dead_nodes_are_not_judged(tmp_path: Path) -> None:
    assert refused(model([node("Relu", "x", "y"), node("Det", "x", "unused")]), tmp_path) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\x08", "truncated"),
        (b"not a model at all", "is not an ONNX model"),
        (bytes(64), "is not an ONNX model"),
    ],
)
def test_files_that_are_no_model(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    assert reason in str(importers.problems_of(path)[0])


def test_truncated_at_every_length(tmp_path: Path) -> None:
    whole = model([node("Conv", "x w", "y")], {"w": W}).SerializeToString()
    path = tmp_path / "net.onnx"
    for length in range(1, len(whole), 61):
        path.write_bytes(whole[:length])
        importers.problems_of(path)  # an McuqError or a smaller model, never another exception


@pytest.mark.parametrize("name", ["missing.onnx", "net.tflite", "."])
def test_paths(name: str, tmp_path: Path) -> None:
    with pytest.raises(McuqError):
        importers.load(tmp_path / name)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (("N", 4, "H", 5), "axis 2 has the dynamic size 'H'"),
        (("N", 4, -1, 5), "Say it with --shape x=1,4,SIZE,5"),
        (("N", 4, 0, 5), "axis 2 has the size 0"),
        (("N", 4, 1 << 20, 1 << 20), "too large"),
    ],
)
def test_input_shapes(shape: Any, reason: str, tmp_path: Path) -> None:
    assert reason in refused(model([node("Relu", "x", "y")], inputs={"x": shape}), tmp_path)[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_weights_must_be_finite(bad: float, tmp_path: Path) -> None:
    weights = W.astype(np.float64)
    weights[0, 0, 0, 0] = bad
    lines = refused(model([node("Conv", "x w", "y")], {"w": weights}), tmp_path)
    assert "constant 'w' holds NaN or infinity" in lines[0]


def test_absurd_results_are_refused_before_they_are_made(tmp_path: Path) -> None:
    nodes = [node("ConstantOfShape", "s", "c"), node("Add", "x c", "y")]
    lines = refused(model(nodes, {"s": np.array([1 << 20, 1 << 20])}), tmp_path)
    assert "too large" in lines[0]


def test_initializer_larger_than_its_data(tmp_path: Path) -> None:
    proto = model([node("Conv", "x w", "y")], {"w": W})
    proto.graph.initializer[0].dims[0] = 1 << 40
    assert "impossible shape" in refused(proto, tmp_path)[0]
    proto.graph.initializer[0].dims[0] = 7
    assert "does not fill its shape" in refused(proto, tmp_path)[0]


def test_cycles_and_unknown_inputs(tmp_path: Path) -> None:
    assert "cycle" in refused(model([node("Add", "x y", "z"), node("Relu", "z", "y")]), tmp_path)[0]
    assert "reads 'nowhere'" in refused(model([node("Add", "x nowhere", "y")]), tmp_path)[0]
    assert "never written" in refused(model([node("Relu", "x", "z")]), tmp_path)[0]


def test_unsorted_nodes_are_sorted(tmp_path: Path) -> None:
    assert refused(model([node("Relu", "z", "y"), node("Tanh", "x", "z")]), tmp_path) == []


def test_duplicate_names(tmp_path: Path) -> None:
    lines = refused(model([node("Relu", "x", "y"), node("Tanh", "x", "y")]), tmp_path)
    assert "the name 'y' is given to two values" in lines[0]


def test_nothing_to_compute(tmp_path: Path) -> None:
    assert "nothing to compute" in refused(model([node("Flatten", "x", "y")]), tmp_path)[0]
    assert (
        "nothing to compute" in refused(model([node("Identity", "w", "y")], {"w": W}), tmp_path)[0]
    )


def test_custom_domains_and_subgraphs(tmp_path: Path) -> None:
    proto = model([node("Relu", "x", "y")])
    proto.graph.node[0].domain = "com.example"
    assert "of the domain 'com.example'" in refused(proto, tmp_path)[0]
    branch = onnx.helper.make_graph([node("Relu", "x", "q")], "g", [], [])
    given = onnx.helper.make_node("SequenceMap", ["x"], ["y"], body=branch)
    assert "subgraph" in refused(model([given]), tmp_path)[0]


def test_a_foreign_node_hides_nothing(tmp_path: Path) -> None:
    proto = model([node("Det", "x", "h"), node("Other", "h", "i"), node("Unique", "i", "y")],
                  {})  # fmt: skip
    proto.graph.node[1].domain = "com.example"
    lines = refused(proto, tmp_path)
    assert sorted(line.split("'")[1] for line in lines) == ["Det:h", "Other:i", "Unique:y"]


def test_sparse_initializers(tmp_path: Path) -> None:
    proto = model([node("Relu", "x", "y")])
    values = onnx.numpy_helper.from_array(np.ones(1, np.float32), "s")
    places = onnx.numpy_helper.from_array(np.zeros(1, np.int64))
    proto.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, places, [4]))
    assert "initializer 's' is sparse" in refused(proto, tmp_path)[0]


def test_hostile_names_stay_on_one_line(tmp_path: Path) -> None:
    proto = model([node("Unique", "x", "y")])
    proto.graph.node[0].name = "a\nb\x1b[31m*/"
    lines = refused(proto, tmp_path)
    assert len(lines) == 1
    assert "\n" not in lines[0]
    assert "\x1b" not in lines[0]
    proto = model([node("Relu", "x", "y")])
    proto.graph.node[0].name = "a\nb"
    assert importers.load(save(proto, tmp_path)).nodes[0].name == "a\nb"


def external(location: str, length: int = W.nbytes, offset: int = 0) -> Any:
    proto = model([node("Conv", "x w", "y")], {"w": W})
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entries = {"location": location, "length": str(length), "offset": str(offset)}
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return proto


def test_external_data_is_one_of_the_models_files(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(W.tobytes())
    path = save(external("weights.bin"), tmp_path)
    assert importers.files_of(path) == (path, (tmp_path / "weights.bin").resolve())
    assert importers.files_of("net.pt2") == (Path("net.pt2"),)


def test_external_data_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(8) + W.tobytes())
    graph = importers.load(save(external("weights.bin", offset=8), tmp_path))
    assert np.array_equal(graph.data("w"), W.transpose(0, 2, 3, 1))


def test_external_data_of_a_constant_node(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(W.tobytes())
    tensor = external("weights.bin").graph.initializer[0]
    proto = model([node("Constant", "", "k", value=tensor), node("Conv", "x k", "y")])
    path = save(proto, tmp_path)
    assert np.array_equal(importers.load(path).data("k"), W.transpose(0, 2, 3, 1))
    assert importers.files_of(path) == (path, (tmp_path / "weights.bin").resolve())


@pytest.mark.parametrize(
    "location", ["/etc/hostname", "../secret.bin", "sub/../../secret.bin", "", "link.bin", "C:\\x"]
)
def test_external_data_elsewhere_is_never_read(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(W.tobytes())
    os.symlink(tmp_path / "secret.bin", folder / "link.bin")
    assert "is not a file in the model's folder" in refused(external(location), folder)[0]


@pytest.mark.parametrize(("length", "offset"), [(12, 0), (W.nbytes, 8), (W.nbytes, -4)])
def test_external_data_of_another_size(length: int, offset: int, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(W.tobytes())
    lines = refused(external("weights.bin", length, offset), tmp_path)
    assert "does not hold its" in lines[0]
