"""Small files that ask for much memory: one line, before anything of that size is taken."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from small_networks import Net

from mcuq import capacity
from mcuq.cli import cli
from mcuq.data import feeds
from mcuq.errors import DataError, McuqError, ModelError
from mcuq.files import MANIFEST, written_files
from mcuq.importers import load, pt2_file
from mcuq.ir import Graph
from mcuq.model import bundle, report
from mcuq.ops.parts.windows import Window
from mcuq.passes import pipeline

MOST_BYTES = 64 << 20


@contextmanager
def little_memory() -> Iterator[None]:
    """Fails if more than ``MOST_BYTES`` were taken within."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def write(
    path: Path, nodes: list[Any], inputs: dict[str, list[int]], constants: dict[str, Any]
) -> Path:
    outputs = [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)]
    given = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()]
    made = [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()]
    graph = helper.make_graph(nodes, "g", given, outputs, made)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(model.SerializeToString())
    return path


def node(op: str, inputs: str, **attrs: Any) -> Any:
    return helper.make_node(op, inputs.split(), ["y"], **attrs)


POOL = {"kernel_shape": [1, 32768], "strides": [1, 1]}
FAR = {"pads": [65535] * 4, "strides": [65535, 65535]}
MANY = [helper.make_node("Sum", [f"x{i}" for i in range(40)], ["y"])]
CONCATS = [
    *(helper.make_node("Concat", [f"c{i}"] * 8, [f"c{i + 1}"], axis=0) for i in range(9)),
    node("Add", "x c9"),
]
SHAPES = [
    *(helper.make_node("ConstantOfShape", ["shape"], [f"c{i}"]) for i in range(40)),
    *(helper.make_node("Exp", [f"c{i}"], [f"d{i}"]) for i in range(40)),
    helper.make_node("Sum", ["x", *(f"d{i}" for i in range(40))], ["y"]),
]


@pytest.mark.parametrize(
    ("nodes", "inputs", "constants"),
    [
        ([node("MaxPool", "x", **POOL)], {"x": [1, 1, 1, 65535]}, {}),
        ([node("AveragePool", "x", **POOL)], {"x": [1, 1, 1, 65535]}, {}),
        ([node("Conv", "x w", **FAR)], {"x": [1, 1, 8, 8]}, {"w": np.ones((1, 1, 3, 3), "f4")}),
        (
            [node("Conv", "x w", pads=[4000] * 4, strides=[9999, 9999])],
            {"x": [1, 3, 8, 8]},
            {"w": np.ones((1, 3, 3, 3), "f4")},
        ),
        (
            [node("Conv", "x w")],
            {"x": [1, 1, 1, 65535]},
            {"w": np.ones((1, 1, 1, 32768), "f4")},
        ),
        (MANY, {f"x{i}": [1, 1 << 17] for i in range(40)}, {}),
        (CONCATS, {"x": [1, 4]}, {"c0": np.ones((1, 4), "f4")}),
        (SHAPES, {"x": [1, 4]}, {"shape": np.array([1 << 17, 4])}),
    ],
    ids=["max pool", "average pool", "far pads", "pads", "kernel", "inputs", "concats", "chain"],
)  # fmt: skip
def test_models_that_grow(
    tmp_path: Path, nodes: list[Any], inputs: dict[str, list[int]], constants: dict[str, Any]
) -> None:
    path = write(tmp_path / "grows.onnx", nodes, inputs, constants)
    small = "x0" in inputs or len(nodes) > 1
    limit = 1 << 22 if small else capacity.MAX_ELEMENTS
    with (
        capacity.allowing(limit),
        little_memory(),
        pytest.raises(McuqError, match="too large") as e,
    ):
        load(path)
    assert f"limit of {limit}: mcuq --max-elements" in str(e.value)


def test_constants_that_share_their_bytes(tmp_path: Path) -> None:
    """Forty initializers of one external file, 40 times its size in memory."""
    (tmp_path / "w.bin").write_bytes(bytes(4 << 20))
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 1 << 20],
                         data_location=TensorProto.EXTERNAL)  # fmt: skip
    tensor.external_data.add(key="location", value="w.bin")
    path = write(tmp_path / "m.onnx", [node("Add", "x w0")], {"x": [1, 1 << 20]}, {})
    model = onnx.load(path, load_external_data=False)
    for index in range(40):
        tensor.name = f"w{index}"
        model.graph.initializer.append(tensor)
    path.write_bytes(model.SerializeToString())
    with capacity.allowing(1 << 24), little_memory(), pytest.raises(McuqError, match="too large"):
        load(path)


def test_the_limit_is_an_option(tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", [node("Relu", "x")], {"x": [1, 100]}, {})
    refused = CliRunner().invoke(cli, ["--max-elements", "150", "inspect", str(path)])
    assert "all tensors together are too large: more than 150" in str(refused.exception)
    assert CliRunner().invoke(cli, ["--max-elements", "200", "inspect", str(path)]).exit_code == 0
    assert capacity.most_elements() == capacity.MAX_ELEMENTS


def network() -> Graph:
    net = Net((1, 4))
    return net.graph(net.dense("x", 2))


def npz(path: Path, arrays: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return path


def stored(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def test_only_the_picked_array_is_read(tmp_path: Path) -> None:
    bomb = stored(np.zeros((1 << 24,), np.float64))
    path = npz(tmp_path / "d.npz", {"x": stored(np.ones((9, 4), np.float32)), "bomb": bomb})
    with little_memory():
        assert feeds.load(f"{path}:x", network())["x"].shape == (9, 4)
        assert feeds.load(path, network())["x"].shape == (9, 4)
        with pytest.raises(DataError, match=r"no array 'z'\. It holds bomb \(16777216,\), x"):
            feeds.load(f"{path}:z", network())


def test_an_array_is_bounded_before_it_is_read(tmp_path: Path) -> None:
    header = stored(np.zeros((9, 4), np.float32))[:128].replace(b"(9, 4), ", b"(1<<40,),")
    content = header.replace(b"(1<<40,),", b"(99999999999, 4),")[:128]
    path = npz(tmp_path / "d.npz", {"x": content})
    with little_memory(), pytest.raises(DataError, match="more than 536870912 elements"):
        feeds.load(path, network())


def lying(name: str) -> bytes:
    """An archive whose directory says 10 bytes of a member; 200 MB come out."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(200 << 20))
    size = (200 << 20).to_bytes(4, "little")
    assert stream.getvalue().count(size) == 2
    return stream.getvalue().replace(size, (10).to_bytes(4, "little"))


def test_a_program_with_a_lying_size(tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    path.write_bytes(lying("m/models/model.json"))
    with little_memory(), pytest.raises(ModelError, match=r"not a \.pt2 archive, or is truncated"):
        pt2_file.checked(path)


def test_a_bundle_with_a_lying_size(tmp_path: Path) -> None:
    path = tmp_path / bundle.FILE
    path.write_bytes(lying("facts.npy"))
    with little_memory(), pytest.raises(DataError, match="is damaged, changed or of another"):
        bundle.load(tmp_path)


@pytest.mark.parametrize("name", [bundle.FILE, report.FILE, MANIFEST])
def test_a_file_of_a_folder_that_is_mostly_holes(name: str, tmp_path: Path) -> None:
    """Some bytes on the disk, and in an archive; terabytes if it is read."""
    with (tmp_path / name).open("wb") as stream:
        stream.truncate(1 << 42)
    loads = {bundle.FILE: bundle.load, report.FILE: report.load, MANIFEST: written_files}
    with pytest.raises(McuqError, match="holds more than"):
        loads[name](tmp_path)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 5])
def test_taps_inside_are_counted_as_they_are(stride: int, dilation: int) -> None:
    for kernel, pad, size in [(3, 1, 7), (4, 6, 5), (1, 2, 3), (7, 0, 20)]:
        win = Window((kernel, 1), (stride, 1), (dilation, 1), (pad, 0, pad, 0))
        places = win.out_size(size, size)[0]
        at = np.arange(places)[:, None] * stride - pad + np.arange(kernel) * dilation
        inside = (at >= 0) & (at < size)
        assert np.array_equal(win.counts(0, size), inside.sum(1))
        reached = inside.any(1)
        assert np.array_equal(win.inside(0, size)[0][reached], inside.argmax(1)[reached])


def test_a_long_chain_is_looked_up_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing nodes by value made every swap of a clip cost the length of the chain, 5 times."""
    net = Net((1, 4))
    last = "x"
    for index in range(300):
        last = net.node("clip", last, low=0.0, high=100.0 + index)
    graph = net.graph(last)
    kind = type(graph.nodes[0])
    compared = 0

    def equal(one: object, other: object) -> bool:
        nonlocal compared
        compared += 1
        return one is other

    monkeypatch.setattr(kind, "__eq__", equal)
    assert len(pipeline.run(graph).nodes) == 1
    assert compared == 0
