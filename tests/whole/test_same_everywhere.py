"""The same command writes the same bytes, whatever instructions and threads libraries choose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx_models import model, node, random, save
from processors import PROCESSORS, start
from same_bytes import VARIANTS
from small_networks import NO_CLIP, Net, residual_network

from mcuq.exporters.onnx_file import to_bytes
from mcuq.ir import Graph
from mcuq.ops.parts import exact
from mcuq.quantize import factors
from mcuq.quantize.rounding.layers import Moments, moments
from mcuq.quantize.rounding.least import damped
from mcuq.reference import run_exact, run_float


def uneven_images() -> Graph:
    """Convolutions over padded images, a residual add, tables of functions, pooling and classes."""
    net = Net((1, 8, 8, 3), seed=3)
    stem = net.conv("x", 12, stride=2)
    wide = net.node("sigmoid", net.depthwise(stem))
    narrow = net.conv(wide, 12, kernel=1, clip=NO_CLIP)
    total = net.node("add", stem, narrow, clip=NO_CLIP, name="total")
    scores = net.dense(net.pool(net.node("silu", total)), 5)
    return net.graph(net.node("softmax", scores, name="classes"))


@pytest.mark.parametrize("variants", [tuple(VARIANTS)[:4], tuple(VARIANTS)[4:]], ids=" ".join)
def test_the_same_bytes_on_every_processor(tmp_path: Path, variants: tuple[str, ...]) -> None:
    """Recovery in a process of its own: it fixes the instructions before torch is loaded."""
    model = tmp_path / "same.onnx"
    model.write_bytes(to_bytes(uneven_images()))
    running = [start(model, variants, processor) for processor in PROCESSORS]
    printed = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert printed[0].count("\n") == len(variants)
    assert printed[1:] == printed[:1] * 2


def recurrent_layers() -> onnx.ModelProto:
    """An LSTM, and a GRU behind it."""
    units, inputs = 12, 6
    constants = {
        "w": random(1, 4 * units, inputs), "r": random(1, 4 * units, units, seed=1),
        "b": random(1, 8 * units, seed=2), "axes": np.array([1], np.int64),
        "v": random(1, 3 * units, units, seed=3), "s": random(1, 3 * units, units, seed=4),
        "c": random(1, 6 * units, seed=5),
    }  # fmt: skip
    nodes = [
        node("LSTM", "x w r b", "h", hidden_size=units),
        node("Squeeze", "h axes", "q"),
        node("GRU", "q v s c", "y", hidden_size=units, linear_before_reset=1),
    ]
    return model(nodes, constants, {"x": (20, 1, inputs)}, "y")


def test_recurrent_layers_have_the_same_bytes_on_every_processor(tmp_path: Path) -> None:
    path = save(recurrent_layers(), tmp_path, "same.onnx")
    rows = np.random.default_rng(3).normal(0.3, 1.0, (48, 20, 1, 6)).astype(np.float32)
    np.save(path.with_suffix(".npy"), rows)
    running = [start(path, ("normal",), processor) for processor in PROCESSORS]
    printed = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert printed[0].startswith("normal ")
    assert printed[1:] == printed[:1] * 2


def test_exact_sums_do_not_depend_on_their_order() -> None:
    random = np.random.default_rng(0)
    a = random.normal(0, 1, (5, 700)) * np.exp(random.normal(0, 4, (5, 1)))
    b = random.normal(0, 1, (700, 6)) * np.exp(random.normal(0, 4, (1, 6)))
    order = random.permutation(700)
    found, again = exact.product(a, b), exact.product(a[:, order], b[order])
    assert np.array_equal(found, again)
    # Each factor is off by half a step of 2**-21 of the largest in its row at most.
    reach = np.abs(a).max(1)[:, None] * np.abs(b).max(0)
    assert bool((np.abs(found - a @ b) < 2.0**-20 * 700 * reach).all())


def test_exact_and_float_are_the_same_network() -> None:
    graph = residual_network()
    feeds = {"x": np.random.default_rng(1).normal(0, 1, (9, 8, 8, 3)).astype(np.float32)}
    one, other = run_exact(graph, feeds), run_float(graph, feeds)
    assert all(np.allclose(one[n], other[n], rtol=1e-4, atol=1e-5) for n in other)
    reversed_rows = run_exact(graph, {"x": feeds["x"][::-1]})
    assert one.keys() == reversed_rows.keys()


@pytest.mark.parametrize(("mean", "spread"), [(1.0, 0.0), (3e4, 0.0), (3e4, 1e-3), (1e-20, 1e-28)])
def test_moments_of_nearly_constant_inputs_have_factors(mean: float, spread: float) -> None:
    """E[q q] - E[q] E[q] in float32 was -6.4e-07 here on some processors."""
    net = Net((1, 6, 6, 4))
    graph = net.graph(net.conv("x", 3))
    (node,) = graph.nodes
    values = np.random.default_rng(0).normal(mean, spread, (40, 6, 6, 4)).astype(np.float32)
    bare = node.with_attrs(pads=(0, 0, 0, 0))
    inner = Net((1, 6, 6, 4))
    inner.node("conv2d", "x", inner.constant("w", graph.data(node.inputs[1])),
               inner.constant("b", graph.data(node.inputs[2])), **bare.attrs)  # fmt: skip
    small = inner.graph(inner.nodes[-1].output)
    known = moments(small.nodes[0], small, values, small.nodes[0], values)
    assert float(np.einsum("gkk->gk", known.covariance).min()) >= 0.0
    assert spread > 0 or not known.covariance.any()
    made = damped(known, 1e-3)
    assert made is not None
    turned = made.matrix[:, made.order][:, :, made.order]
    rebuilt = made.upper @ made.upper.transpose(0, 2, 1)
    assert np.allclose(rebuilt, turned, rtol=1e-6, atol=1e-6 * float(turned.max()))


def test_what_has_no_factors_is_damped_more_or_given_up() -> None:
    known = Moments(np.zeros((1, 2)), np.zeros((1, 2)), np.array([[[1.0, 3.0], [3.0, 1.0]]]),
                    np.zeros((1, 2, 2)))  # fmt: skip
    assert factors.factored(known.covariance) is None
    made = damped(known, 0.05)
    assert made is not None
    assert float(made.matrix[0, 0, 0]) == 6.0  # 1 + 100 x 0.05 x the mean diagonal
    endless = replace(known, covariance=np.full((1, 2, 2), np.inf))
    assert damped(endless, 0.05) is None


def test_solving_agrees_with_lapack() -> None:
    random = np.random.default_rng(2)
    x = random.normal(0, 1, (2, 400, 130)) * np.exp(random.normal(0, 1, 130))
    matrix = x.transpose(0, 2, 1) @ x / 400 + np.eye(130)
    known = factors.factored(matrix)
    assert known is not None
    wanted = random.normal(0, 1, (2, 7, 130))
    expected = np.linalg.solve(matrix, wanted.transpose(0, 2, 1)).transpose(0, 2, 1)
    assert np.allclose(factors.solved(wanted, known), expected, rtol=1e-4, atol=1e-5)
