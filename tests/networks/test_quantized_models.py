"""Already quantized models (QDQ): what is kept, what is fitted anew, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from onnx_models import Model, agrees, model, node, ops, random, run_graph, save
from qdq_models import as_qdq, pair, signed, unsigned
from torch import nn

from mcuq import compile as compile_network
from mcuq import importers
from mcuq.errors import DataError
from mcuq.ir import Graph, to_memory
from mcuq.passes import pipeline
from mcuq.quantize import Options, needs_calibration, quantize_report
from mcuq.quantize.assemble import assemble
from mcuq.quantize.ranges import scales
from mcuq.quantize.state import State
from mcuq.reference import feeds_to_int, run_int

RNG = np.random.default_rng(0)
FLOAT = model(
    [
        node("Conv", "x w1 b1", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("MaxPool", "r", "m", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "m w2 b2", "d", group=6, pads=[1, 1, 1, 1]),
        node("Add", "d m", "a"),
        node("Sigmoid", "a", "s"),
        node("GlobalAveragePool", "s", "g"),
        node("Flatten", "g", "f"),
        node("Gemm", "f w3 b3", "y", transB=1),
    ],
    {
        "w1": random(6, 4, 3, 3), "b1": random(6), "w2": random(6, 1, 3, 3),
        "b2": random(6, seed=1), "w3": random(5, 6), "b3": random(5),
    },
)  # fmt: skip


def rows(graph: Graph, count: int = 40) -> dict[str, Any]:
    """Seeded calibration rows."""
    data = random(count, 4, 6, 5, low=-2.0, high=2.0)
    return {"x": to_memory(graph.inputs[0], graph.shape("x"), data)}


def load(proto: Model, folder: Path) -> Graph:
    return pipeline.run(importers.load(save(proto, folder)))


def plain_integers(graph: Graph) -> Any:
    """The integer network with every frac by least error, and nothing else done to it."""
    state = State(graph, rows(graph), Options())
    for step in (scales.observe, scales.choose_scales, scales.choose_weights):
        state = step(state)
    return assemble(state)


@pytest.mark.parametrize("zeros", [signed, unsigned], ids=["int8", "uint8"])
@pytest.mark.parametrize("calibrated", [True, False])
def test_round_trip_gives_identical_integers(
    zeros: Callable[[int], Any], calibrated: bool, tmp_path: Path
) -> None:
    graph = load(FLOAT, tmp_path)
    first = plain_integers(graph)
    again = load(as_qdq(FLOAT, first, zeros), tmp_path)
    assert ops(again) == ops(graph)
    assert not needs_calibration(again)
    result = quantize_report(again, rows(again) if calibrated else {})
    assert all(tensor.kept for tensor in result.given)
    assert len(result.given) == 3 + 8
    for one, two in zip(first.nodes, result.qgraph.nodes, strict=True):
        assert one.attrs == two.attrs
        for name, other in zip(one.inputs, two.inputs, strict=True):
            if first.is_constant(name):
                assert np.array_equal(first.data(name), result.qgraph.data(other))
    feeds = feeds_to_int(first, rows(graph))
    for old, new in zip(
        run_int(first, feeds).values(), run_int(result.qgraph, feeds).values(), strict=True
    ):
        assert np.array_equal(old, new)


def small(scale: float, zero: Any, weight_scale: Any, **more: Any) -> Model:
    """Input pair, convolution of int8 weights, output pair; no Relu, as ONNX Runtime writes it."""
    first, constants = pair("x", "xd", 2.0**-5, np.uint8(128))
    last, added = pair("c", "y", scale, zero)
    weights = {
        "wq": np.random.default_rng(1).integers(-127, 128, (6, 4, 3, 3)).astype(np.int8),
        "ws": np.asarray(weight_scale, np.float32), "wz": np.zeros_like(weight_scale, np.int8),
    }  # fmt: skip
    nodes = [
        *first,
        node("DequantizeLinear", "wq ws wz", "w", axis=0),
        node("Conv", "xd w", "c"),
        *last,
    ]
    return model(nodes, {**constants, **weights, **added, **more})


POWERS = [2.0 ** -(6 + i % 3) for i in range(6)]


def test_limits_of_the_integers_are_the_relu_that_was_left_out(tmp_path: Path) -> None:
    graph = load(small(2.0**-3, np.uint8(0), POWERS), tmp_path)
    (layer,) = graph.nodes
    assert layer.attrs["clip"] == (0.0, 255 / 8)
    assert layer.output == "c"
    assert graph.hints["c"].zero == -128


def test_float_network_is_the_dequantized_one(tmp_path: Path) -> None:
    proto = small(0.07, np.int8(3), 0.004)
    proto.opset_import[0].version = 21
    graph = load(proto, tmp_path)
    x = random(8, 4, 6, 5, low=-2.0, high=2.0)
    (wanted,) = ReferenceEvaluator(proto).run(None, {"x": x})
    assert np.abs(run_graph(graph, {"x": x})["y"] - wanted).max() <= 0.07 / 2 + 0.2


@pytest.mark.parametrize(
    ("scale", "zero", "weight_scale", "kept"),
    [
        (2.0**-3, np.int8(0), POWERS, ["x", "c", "w"]),
        (2.0**-3, np.int8(0), 2.0**-7, ["x", "c", "w"]),
        (2.0**-3, np.int8(3), POWERS, ["x", "c", "w"]),
        (0.1, np.int8(0), 0.01, ["x"]),
        (2.0**-3, np.uint16(32768), [*POWERS[:5], 0.01], ["x", "c"]),
    ],
)
def test_kept_and_refitted(
    scale: float, zero: Any, weight_scale: Any, kept: list[str], tmp_path: Path
) -> None:
    path = save(small(scale, zero, weight_scale), tmp_path)
    data = random(40, 4, 6, 5, low=-2.0, high=2.0)
    made = compile_network(path, calibration=data)
    facts = made.report.quantized_model
    assert [t.name for t in facts.tensors if t.kept] == kept
    assert (facts.kept, facts.refitted) == (len(kept), 3 - len(kept))
    line = "tensors are kept exactly" if len(kept) == 3 else f"{3 - len(kept)} of 3 tensors"
    assert any(line in advice for advice in made.advice)


def test_calibration_is_needed_only_for_what_is_not_given(tmp_path: Path) -> None:
    made = compile_network(save(small(2.0**-3, np.int8(0), POWERS), tmp_path))
    assert made.report.quantized_model.refitted == 0
    assert len(made.compiled.bundle.vectors["x"]) == 32
    assert [verdict.exact for verdict in made.check([])] == [True]
    with pytest.raises(DataError, match="no calibration data"):
        compile_network(save(FLOAT, tmp_path))


@pytest.mark.parametrize("weight_scale", [0.01, 2.0**-7])
def test_given_ranges_take_the_place_of_data(weight_scale: float, tmp_path: Path) -> None:
    made = compile_network(save(small(0.1, np.int8(0), weight_scale), tmp_path))
    assert made.report.quantized_model.refitted > 0
    assert any("the ranges that the model states" in line for line in made.advice)
    assert [verdict.exact for verdict in made.check([])] == [True]


def test_float_models_say_nothing(tmp_path: Path) -> None:
    made = compile_network(save(FLOAT, tmp_path), calibration=random(40, 4, 6, 5))
    assert made.report.quantized_model is None
    assert made.advice == ()


def test_fake_quantized_weights(tmp_path: Path) -> None:
    """A pair around float weights, and a Clip of its integers, as quantization-aware training."""
    names = "ws wz"
    nodes = [
        node("QuantizeLinear", f"w {names}", "wq"),
        node("Clip", "wq low high", "wc"),
        node("DequantizeLinear", f"wc {names}", "wd"),
        node("QuantizeLinear", f"x {names}", "xq"),
        node("Clip", "xq low high", "xc"),
        node("DequantizeLinear", f"xc {names}", "xd"),
        node("Conv", "xd wd", "y"),
    ]
    constants = {
        "w": random(6, 4, 3, 3), "ws": np.float32(2.0**-6), "wz": np.int8(0),
        "low": np.int8(-7), "high": np.int8(7),
    }  # fmt: skip
    graph = load(model(nodes, constants), tmp_path)
    result = quantize_report(graph, rows(graph))
    assert [t.kept for t in result.given] == [True, True, True]
    assert np.abs(result.qgraph.data("y.weight")).max() == 7
    (limit,) = (n for n in graph.nodes if n.op == "clip")
    assert (limit.float("low"), limit.float("high")) == (-7 / 64, 7 / 64)


def test_weights_shifted_by_a_zero_point(tmp_path: Path) -> None:
    more = {"wz": np.uint8(128), "wq": RNG.integers(1, 256, (6, 4, 3, 3)).astype(np.uint8)}
    graph = load(small(2.0**-3, np.int8(0), 2.0**-7, **more), tmp_path)
    result = quantize_report(graph, {})
    wanted = more["wq"].astype(int).transpose(0, 2, 3, 1) - 128
    assert np.array_equal(result.qgraph.data("c.weight"), wanted)


def test_pairs_that_limit_nothing_cost_nothing(tmp_path: Path) -> None:
    """After a Sigmoid and a maximum of limited values no clip is needed."""
    nodes, constants = [node("Sigmoid", "x", "s")], {}
    for source, result in (("s", "sd"), ("m", "y")):
        if source == "m":
            nodes.append(node("MaxPool", "sd", "m", kernel_shape=[2, 2]))
        made, added = pair(source, result, 2.0**-8, np.uint8(0))
        nodes += made
        constants.update(added)
    assert ops(load(model(nodes, constants), tmp_path)) == ["sigmoid", "max_pool2d"]


def test_pairs_of_concat_inputs_that_differ_are_brought_together(tmp_path: Path) -> None:
    nodes, constants = [node("Relu", "x", "r"), node("Sigmoid", "x", "s")], {}
    for source, frac in (("r", 5), ("s", 8)):
        made, added = pair(source, f"{source}d", 2.0**-frac, np.uint8(0))
        nodes += made
        constants.update(added)
    nodes.append(node("Concat", "rd sd", "c", axis=1))
    made, added = pair("c", "y", 2.0**-5, np.uint8(0))
    graph = load(model([*nodes, *made], {**constants, **added}), tmp_path)
    result = quantize_report(graph, rows(graph))
    assert {t.name: t.frac for t in result.given if t.kept} == {"r": 5, "s": 8, "c": 5}


def refused(nodes: list[Any], constants: dict[str, Any], folder: Path, outputs: str = "y") -> str:
    (fault,) = importers.problems_of(save(model(nodes, constants, outputs=outputs), folder))
    return str(fault)


def test_refused(tmp_path: Path) -> None:
    nodes, constants = pair("x", "d", 0.1, np.uint8(0))
    end = node("Relu", "d", "y")
    several = {**constants, "d.scale": np.ones(4, np.float32), "d.zero": np.zeros(4, np.uint8)}
    assert "one scale per tensor" in refused([*nodes, end], several, tmp_path)
    assert "its scale is 0" in refused([*nodes, end], {**constants, "d.scale": 0.0}, tmp_path)
    other = node("DequantizeLinear", "d.q half d.zero", "d")
    more = {**constants, "half": np.float32(0.5)}
    assert "differ from its QuantizeLinear" in refused([nodes[0], other, end], more, tmp_path)
    alone = node("DequantizeLinear", "x d.scale d.zero", "d")
    assert "no QuantizeLinear of this model" in refused([alone, end], constants, tmp_path)
    computing = node("Add", "d.q d.q", "y")
    assert "computes with integers" in refused([nodes[0], computing], constants, tmp_path)


def test_an_output_of_integers_is_the_reals_they_mean(tmp_path: Path) -> None:
    ends, constants = pair("r", "d", 0.25, np.uint8(3))
    proto = model([node("Relu", "x", "r"), ends[0]], constants, outputs="d.q")
    graph = importers.load(save(proto, tmp_path))
    (note,) = graph.notes
    assert "output 'd.q' holds integers q in the model; here it is the reals (q - 3) * 0.25" in note


def test_integers_of_a_dynamic_scale_are_not_shown(tmp_path: Path) -> None:
    assert "QDQ format" in refused([node("DynamicQuantizeLinear", "x", "y s z")], {}, tmp_path)
    nodes = [node("DynamicQuantizeLinear", "x", "q s z"), node("Relu", "q", "y")]
    assert "computes with the integers" in refused(nodes, {}, tmp_path)


def test_limits_do_not_change_a_float_network_within_them(tmp_path: Path) -> None:
    """With fine scales the importer's graph follows onnx's evaluator, which rounds, closely."""
    nodes, constants = pair("c", "y", 2.0**-12, np.int16(0))
    proto = model(
        [node("Conv", "x w", "c"), *nodes], {**constants, "w": random(2, 4, 1, 1)}, opset=21
    )
    agrees(proto, tmp_path, tolerance=2.0**-12)


class FakeQuantized(nn.Module):
    """Weights per channel in -127..127, activations in bytes and in 5 bits."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 8, 3)
        self.register_buffer("scale", torch.full((8,), 2.0**-8))
        self.register_buffer("zero", torch.zeros(8, dtype=torch.int32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        per_tensor = torch.fake_quantize_per_tensor_affine
        weights = torch.fake_quantize_per_channel_affine(
            self.layer.weight, self.scale, self.zero, 0, -127, 127
        )
        x = per_tensor(x, 2.0**-5, 0, -128, 127)
        x = nn.functional.conv2d(x, weights, self.layer.bias).relu()
        x = per_tensor(x, torch.tensor([2.0**-6]), torch.tensor([0], dtype=torch.int32), 0, 255)
        return per_tensor(x.mean((2, 3)), 2.0**-4, 0, -16, 15)


def test_fake_quantized_modules() -> None:
    torch.manual_seed(0)
    graph = pipeline.run(importers.from_torch(FakeQuantized(), torch.randn(1, 3, 8, 8)))
    layer, pool, *_ = graph.nodes
    assert layer.attrs["clip"] == (0.0, 255 / 64)
    assert pool.attrs["clip"] == (-1.0, 15 / 16)
    assert not any("quantized" in name for name in graph.tensors)
    result = quantize_report(graph, {})
    assert [(tensor.kept, tensor.frac) for tensor in result.given] == [
        (True, 5), (True, 6), (True, 4), (True, (8,) * 8)
    ]  # fmt: skip
