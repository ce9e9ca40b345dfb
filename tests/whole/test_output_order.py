"""What C reads and writes is the model's own order, or the header says exactly what it is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx_models
import pytest

from mcuq import importers
from mcuq.config import Config
from mcuq.emit import order
from mcuq.flows.compile import compile_model
from mcuq.importers.nodes import layout
from mcuq.ir import Array, Port
from mcuq.measure import check
from mcuq.model.compiled import Compiled
from mcuq.qir import QTensor

node = onnx_models.node
CONV = node("Conv", "x w", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
WEIGHTS = {"w": onnx_models.random(8, 4, 3, 3)}
# By name: nodes behind a convolution of (1, 8, 6, 5), and constants.
ENDS = {
    "image": ([node("Relu", "c", "y")], {}),
    "flattened": ([node("Flatten", "c", "y")], {}),
    "pixel shuffle": (
        [
            node("Reshape", "c s", "a"),
            node("Transpose", "a", "b", perm=[0, 1, 4, 2, 5, 3]),
            node("Reshape", "b t", "y"),
        ],
        {"s": np.array([-1, 2, 2, 2, 6, 5]), "t": np.array([-1, 2, 12, 10])},
    ),
    "rows last": ([node("Transpose", "c", "y", perm=[0, 1, 3, 2])], {}),
    "two parts": (
        [node("Flatten", "c", "f"), node("Relu", "x", "r"), node("Flatten", "r", "g"),
         node("Concat", "f g", "y", axis=1)],
        {},
    ),
}  # fmt: skip


def compiled(name: str, folder: Path) -> Compiled:
    nodes, constants = ENDS[name]
    proto = onnx_models.model([CONV, *nodes], {**WEIGHTS, **constants})
    path = onnx_models.save(proto, folder, "net.onnx")
    fast = Config(quantize={"effort": "fast"})
    return compile_model(path, calibration=onnx_models.random(16, 4, 6, 5), config=fast)


def stated(text: str, shape: tuple[int, ...]) -> Array:
    """The place of each element of the model's own order, as the header's words say it."""
    found = re.search(r"\[([^]]*)\] is element \(([^)]*)\) of the model's \[([\d,]*)\]"
                      r"(?:, seen as \[([\d,]*)\])?", text)  # fmt: skip
    assert found is not None, text
    assert found[3] == ",".join(map(str, shape))
    letters = found[2].split(",")
    sizes = [int(size) for size in (found[4] or found[3]).split(",")]
    grid = dict(zip(letters, np.indices(sizes), strict=True))
    places = sum(
        int(step or 1) * grid[letter]
        for letter, step in re.findall(r"([a-z])(?:\*(\d+))?", found[1])
    )
    return np.asarray(places).reshape(-1)


@pytest.mark.parametrize(
    ("name", "text", "steps"),
    [
        ("image", "out_y[h*40 + w*8 + c] is element (n,c,h,w) of the model's [1,8,6,5]", 1),
        ("flattened", "", 2),
        ("pixel shuffle", "", 2),
        ("rows last", "out_y[w*40 + h*8 + c] is element (n,c,h,w) of the model's [1,8,5,6]", 1),
        ("two parts", "out_y[order[i]] is element i of the model's [1,360] in its own order; "
         "order is NET_OUT_Y_ORDER", 3),
    ],
)  # fmt: skip
def test_an_output_is_the_models_own_or_the_header_says_how(
    name: str, text: str, steps: int, tmp_path: Path
) -> None:
    made = compiled(name, tmp_path)
    (port,) = made.program.qgraph.outputs
    header = made.files["net.h"]
    assert (
        (f" * {text}\n" in header) if text else ("out_y[" not in header.split("/** @brief Run")[0])
    )
    assert len(made.program.steps) == steps
    if not text:
        assert port.order is None
    elif "order" not in text:
        assert port.order is not None
        assert np.array_equal(stated(header.split("'y'")[1], port.shape), port.order)
    (report,) = made.report.outputs
    assert report.model_shape == port.shape
    words = text.removeprefix("out_y").replace("NET_OUT_Y_ORDER", "in the header")
    assert report.order == (words or "the model's own")
    assert check.check(made, [], 4)[0].exact


def test_a_table_is_the_order_itself(tmp_path: Path) -> None:
    made = compiled("two parts", tmp_path)
    found = re.search(r"NET_OUT_Y_ORDER \{([\d,\s\\]*)\}", made.files["net.h"])
    assert found is not None
    (port,) = made.program.qgraph.outputs
    assert [int(place) for place in re.findall(r"\d+", found[1])] == list(port.order)


@pytest.mark.parametrize("name", ENDS)
def test_the_float_graph_is_what_onnx_computes(name: str, tmp_path: Path) -> None:
    nodes, constants = ENDS[name]
    onnx_models.agrees(onnx_models.model([CONV, *nodes], {**WEIGHTS, **constants}), tmp_path)


def test_an_input_that_is_reshaped_first_says_how_it_lies(tmp_path: Path) -> None:
    nodes = [node("Reshape", "x s", "a"), node("Conv", "a w", "y", kernel_shape=[3, 3])]
    proto = onnx_models.model(
        nodes, {**WEIGHTS, "s": np.array([-1, 4, 6, 5])}, inputs={"x": ("N", 120)}
    )
    graph = importers.load(onnx_models.save(proto, tmp_path))
    (port,) = graph.inputs
    text = order.sentence(port, "ORDER")
    assert text == "[b*4 + a] is element (a,b) of the model's [1,120], seen as [4,30]"
    assert np.array_equal(stated(text, port.shape), port.order)


@pytest.mark.parametrize(
    ("shape", "memory", "places", "text"),
    [
        ((1, 3, 4, 5), (1, 4, 5, 3), "last", "s8[1,4,5,3] NHWC"),
        ((1, 3, 7), (1, 1, 7, 3), "last", "s8[1,7,3] NWC"),
        ((1, 140, 1), (1, 1, 140, 1), "own", "s8[1,140,1]"),
        ((1, 1, 4, 5), (1, 4, 5, 1), "own", "s8[1,4,5,1] NHWC"),
        ((1, 10), (1, 10), "own", "s8[1,10]"),
        ((1, 2, 3, 4, 5), (1, 120), "own", "s8[1,2,3,4,5]"),
    ],
)
def test_the_sizes_are_those_that_lie_in_memory(
    shape: tuple[int, ...], memory: tuple[int, ...], places: str, text: str
) -> None:
    last = layout.channels_last(shape) if places == "last" else None
    port = Port("x", "x", shape, last)
    assert order.memory_text(port, QTensor("x", memory, "s8", 0, 0, None)) == text
