"""``--stream``: a network that reads a window of frames, made one that takes the new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import model, node, random, save

import mcuq
from mcuq.errors import McuqError
from mcuq.flows.chunks import compare_chunks
from mcuq.ir import fed, shown, state_ports
from mcuq.ops.validate import BrokenGraphError
from mcuq.reference import feeds_to_int, port_to_int, run_int
from mcuq.sequences import run_integer
from mcuq.stream.convert import Wish, wish_of

TOTAL, WIDTH = 24, 5


def conv(name: str, source: str, channels: tuple[int, int], kernel: int, **attrs: Any) -> Any:
    """(node, constants) of a convolution along time, of (1, C, T)."""
    out, inner = channels
    groups = attrs.get("group", 1)
    weights = random(out, inner // groups, kernel, seed=len(name)) / np.sqrt(
        kernel * inner / groups
    )
    constants = {f"{name}.w": weights.astype(np.float32), f"{name}.b": random(out, seed=3) / 4}
    return node("Conv", f"{source} {name}.w {name}.b", name, **attrs), constants


def built(layers: list[Any], rest: list[Any], more: Mapping[str, Any], shape: Any = None) -> Any:
    constants = {k: v for _, each in layers for k, v in each.items()}
    inputs = {"x": shape or (1, WIDTH, TOTAL)}
    return model([n for n, _ in layers] + rest, {**constants, **more}, inputs)


def head(source: str, size: int) -> tuple[list[Any], dict[str, Any]]:
    steps = [node("Flatten", source, "flat"), node("Gemm", "flat fc.w fc.b", "y", transB=1)]
    return steps, {"fc.w": random(3, size) / np.sqrt(size), "fc.b": random(3)}


def _dense() -> Any:
    layers = [conv("a", "x", (8, WIDTH), 3), conv("b", "ar", (8, 8), 5, group=8)]
    steps, more = head("b", 8 * 18)
    proto = built(
        layers[:1], [node("Relu", "a", "ar"), layers[1][0], *steps], {**more, **layers[1][1]}
    )
    return proto


def _pooled() -> Any:
    layers = [conv("a", "x", (8, WIDTH), 4, strides=[2]), conv("b", "a", (6, 8), 3, dilations=[2])]
    rest = [node("Relu", "b", "br"), node("GlobalAveragePool", "br", "p")]
    steps, more = head("p", 6)
    return built(layers, rest + steps, more)


def _residual() -> Any:
    """Two branches whose delays differ, joined by a slice and a sum."""
    layers = [conv("a", "x", (6, WIDTH), 3), conv("b", "a", (6, 6), 3, dilations=[3])]
    rest = [
        node("Slice", "a from to axes", "cut"),
        node("Add", "b cut", "sum"),
        node("Relu", "sum", "r"),
        node("MaxPool", "r", "pool", kernel_shape=[2], strides=[2]),
    ]
    steps, more = head("pool", 6 * 8)
    cut = {"from": np.array([3]), "to": np.array([19]), "axes": np.array([2])}
    return built(layers, rest + steps, {**more, **cut})


def _causal(last: bool) -> Any:
    """Padding in front: of a sequence since the reset; the last frame alone has seen no edge."""
    layers = [
        conv("a", "x", (6, WIDTH), 3, pads=[2, 0]),
        conv("b", "a", (4, 6), 3, pads=[4, 0], dilations=[2]),
    ]
    if not last:
        return built(layers, [node("Relu", "b", "y")], {})
    cut = {"from": np.array([TOTAL - 1]), "to": np.array([TOTAL]), "axes": np.array([2])}
    steps, more = head("cut", 4)
    return built(layers, [node("Slice", "b from to axes", "cut"), *steps], {**more, **cut})


def _chomped() -> Any:
    """Padding at both ends, of which the end is cut off again, as in a TCN."""
    layers = [conv("a", "x", (6, WIDTH), 3, pads=[4, 4], dilations=[2])]
    cut = {"from": np.array([0]), "to": np.array([TOTAL]), "axes": np.array([2])}
    rest = [
        node("Slice", "a from to axes", "cut"),
        node("Relu", "cut", "r"),
        node("Slice", "r last to axes", "end"),
    ]
    steps, more = head("end", 6)
    return built(layers, rest + steps, {**more, **cut, "last": np.array([TOTAL - 1])})


def _image() -> Any:
    """Two-dimensional, (1, 1, T, F), padded along the bands alone."""
    constants = {"a.w": random(4, 1, 3, 3) / 3, "a.b": random(4)}
    rest = [
        node("Conv", "x a.w a.b", "a", pads=[0, 1, 0, 1], strides=[1, 2]),
        node("Relu", "a", "r"),
        node("AveragePool", "r", "p", kernel_shape=[2, 1], strides=[2, 1]),
    ]
    steps, more = head("p", 4 * 11 * 4)
    return model(rest + steps, {**constants, **more}, {"x": (1, 1, TOTAL, 8)})


WINDOWS = {
    "dense": (_dense, "frames=1"),
    "dense, four frames": (_dense, "frames=4"),
    "dense, a part of a step left": (_dense, "frames=5"),
    "pooled": (_pooled, "frames=2"),
    "residual": (_residual, "frames=2"),
    "causal, last": (lambda: _causal(True), "frames=1"),
    "chomped": (_chomped, "frames=3"),
    "image": (_image, "frames=2,axis=2"),
}


def compiled(proto: Any, folder: Path, wish: str | None) -> tuple[mcuq.Model, np.ndarray]:
    path = save(proto, folder, "net.onnx")
    shape = [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
    rows = np.random.default_rng(1).normal(size=(12, *shape[1:])).astype(np.float32)
    return mcuq.compile(path, None, rows, effort="fast", stream=wish), rows


def outputs_of(made: mcuq.Model, recording: np.ndarray, frames: int) -> np.ndarray:
    """(steps, ...) of one recording, whose frames lie where the network's do."""
    graph = made.compiled.program.qgraph
    axis = graph.stream.axis if graph.stream else 0
    feeds = mcuq.data.feeds.from_arrays({"x": recording}, graph)
    assert feeds["x"].shape[1] == recording.shape[axis] // frames
    name = shown(graph)[0].tensor
    return run_integer(graph, feeds, {name})[name]


@pytest.mark.parametrize("name", WINDOWS)
def test_the_stream_equals_the_window_network(name: str, tmp_path: Path) -> None:
    """On every window of a recording, from the step on that the header states."""
    make, wish = WINDOWS[name]
    whole, _ = compiled(make(), tmp_path, None)
    made, _ = compiled(make(), tmp_path, wish)
    frames, graph = wish_of(wish).frames, made.compiled.program.qgraph
    assert graph.stream is not None
    window = whole.compiled.bundle.qgraph
    port = window.inputs[0]
    axis = graph.stream.axis
    assert axis is not None
    shape = list(port.shape)
    before = -TOTAL % frames
    shape[axis] = before + TOTAL + 10 * frames
    recording = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    found = outputs_of(made, recording, frames)
    starts = range(before, before + 10 * frames + 1, frames)
    rows = np.concatenate([np.take(recording, range(s, s + TOTAL), axis) for s in starts])
    feeds = feeds_to_int(window, mcuq.data.feeds.from_arrays({"x": rows}, window))
    wanted = run_int(window, feeds, {window.outputs[0].tensor})[window.outputs[0].tensor]
    assert graph.stream.warmup == -(-TOTAL // frames) - 1
    np.testing.assert_array_equal(found[graph.stream.warmup :], wanted)
    assert "bit for bit" in made.advice[0]
    assert f"the same bits with frames={2 * frames}" in made.advice[0]


def test_a_stream_that_hangs_on_the_size_of_its_steps_is_seen(tmp_path: Path) -> None:
    """One and two frames a step, of two networks of which one has another bias."""
    one, rows = compiled(_dense(), tmp_path, "frames=1")
    two, _ = compiled(_dense(), tmp_path, "frames=2")
    first, second = (made.compiled.program.qgraph for made in (one, two))
    given = mcuq.data.feeds.from_arrays({"x": rows}, first)["x"]
    feeds = {"x": port_to_int(fed(first)[0], given)}
    compare_chunks(first, second, feeds)
    name = next(n.inputs[2] for n in second.nodes if n.op == "dense")
    bias = replace(second.tensors[name], data=second.data(name) + 4096)
    with pytest.raises(BrokenGraphError, match="'y' hangs on how many frames"):
        compare_chunks(first, replace(second, tensors={**second.tensors, name: bias}), feeds)


def test_causal_padding_equals_the_whole_sequence(tmp_path: Path) -> None:
    """Chunks of 1 and of 3 frames give what one window gives that begins with the stream."""
    whole, rows = compiled(_causal(False), tmp_path, None)
    window = whole.compiled.bundle.qgraph
    feeds = feeds_to_int(window, mcuq.data.feeds.from_arrays({"x": rows}, window))
    wanted = run_int(window, feeds, {window.outputs[0].tensor})[window.outputs[0].tensor]
    for frames in (1, 3):
        made, _ = compiled(_causal(False), tmp_path, f"frames={frames}")
        graph = made.compiled.program.qgraph
        assert graph.stream is not None
        assert graph.stream.warmup == 0
        assert "whole sequence since the reset" in made.advice[0]
        for row in range(2):
            found = outputs_of(made, rows[row : row + 1], frames)
            np.testing.assert_array_equal(found.reshape(wanted[row].shape), wanted[row])


def test_same_padding_only_on_request(tmp_path: Path) -> None:
    layers = [conv("a", "x", (6, WIDTH), 3, pads=[1, 1]), conv("b", "a", (6, 6), 5, pads=[2, 2])]
    steps, more = head("p", 6)
    proto = built(layers, [node("GlobalAveragePool", "b", "p"), *steps], more)
    with pytest.raises(McuqError) as caught:
        compiled(proto, tmp_path, "frames=1")
    assert "pads frames behind the window" in str(caught.value)
    made, _ = compiled(proto, tmp_path, "frames=1,padding=same")
    stream = made.compiled.program.qgraph.stream
    assert stream is not None
    assert stream.delay == 3
    assert "against the window network" in made.advice[0]


def _attention() -> Any:
    rest = [
        node("Transpose", "x", "t", perm=[0, 2, 1]),
        node("MatMul", "t x", "scores"),
        node("Softmax", "scores", "y", axis=-1),
    ]
    return model(rest, {}, {"x": (1, WIDTH, TOTAL)})


def _reflected() -> Any:
    layers = [conv("a", "p", (4, WIDTH), 3)]
    pads = {"pads": np.array([0, 0, 2, 0, 0, 0])}
    rest = [node("Pad", "x pads", "p", mode="reflect"), layers[0][0], node("Relu", "a", "y")]
    return model(rest, {**layers[0][1], **pads}, {"x": (1, WIDTH, TOTAL)})


@pytest.mark.parametrize(
    ("make", "wish", "sentence"),
    [
        (_pooled, "frames=1", "Give frames=2, or a multiple of it"),
        (_pooled, "frames=24", "a step of 24 frames is no part of a window of 24"),
        (_attention, "frames=1,axis=2", "it multiplies frames by frames"),
        (_reflected, "frames=1,axis=2", "it moves frames to other places"),
        (_image, "frames=2,axis=7", "has no frames on axis 7"),
        (_dense, "frames=0", "--stream frames=0: takes no frames"),
        (_dense, "hop=2", "--stream hop=2: is not understood"),
    ],
)
def test_what_has_no_stream_is_refused(make: Any, wish: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(McuqError) as caught:
        compiled(make(), tmp_path, wish)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wishes_are_read() -> None:
    assert wish_of("frames=3,padding=same") == Wish(3, None, True)


@pytest.mark.emulated
def test_a_residual_stream_is_exact_on_cores(tmp_path: Path) -> None:
    made, _ = compiled(_residual(), tmp_path, "frames=2")
    verdicts = made.check(["cortex-m0", "cortex-m4", "cortex-m55", "riscv32_virt"], vectors=6)
    assert [verdict.exact for verdict in verdicts] == [True] * 5
    graph = made.compiled.program.qgraph
    assert {port.name for port in fed(graph)} == {"x"}
    assert len(state_ports(graph)) >= 3
