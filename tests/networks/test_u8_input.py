"""Inputs described in the configuration: bytes in, normalisation folded into the first layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from mcuq.config import Config, InputConfig
from mcuq.data import feeds
from mcuq.errors import McuqError
from mcuq.flows.compile import compile_model
from mcuq.measure import check, evaluate
from mcuq.model.compiled import Compiled
from mcuq.targets import boards

MEAN, STD = (120.0, 110.0, 100.0), (60.0, 55.0, 50.0)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    ).eval()


def pixels(rows: int = 32) -> np.ndarray:
    """(N, 3, 9, 10) bytes in the model's own layout."""
    return np.random.default_rng(0).integers(0, 256, (rows, 3, 9, 10), dtype=np.uint8)


def compiled(calibration: np.ndarray, **described: Any) -> Compiled:
    inputs = {"input": InputConfig(**{"mean": MEAN, "std": STD, **described})}
    config = Config(inputs, {"effort": "fast"})
    example = torch.zeros(1, 3, 9, 10)
    return compile_model(network(), example, calibration, name="bytes", config=config)


def normalised(values: np.ndarray) -> np.ndarray:
    shape = (1, 3, 1, 1)
    mean, std = np.reshape(MEAN, shape), np.reshape(STD, shape)
    return ((values - mean) / std).astype(np.float32)


def outputs(made: Compiled, values: np.ndarray) -> evaluate.Evaluation:
    return evaluate.evaluate(
        made.bundle.graph, made.bundle.qgraph, feeds.from_arrays(values, made.bundle.graph)
    )


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_bytes_and_normalised_reals_mean_the_same(layout: str) -> None:
    raw = compiled(pixels(), layout=layout)
    reals = compiled(normalised(pixels()), layout=layout)
    assert raw.files == reals.files
    bytes_of, reals_of = (outputs(raw, v) for v in (pixels(), normalised(pixels())))
    assert bytes_of.to_json() == reals_of.to_json()
    for one, other in zip(bytes_of.outputs, reals_of.outputs, strict=True):
        assert np.array_equal(one.exact, other.exact)
        assert np.array_equal(one.found, other.found)


def test_the_float_network_is_the_users_own() -> None:
    made = compiled(pixels())
    found = evaluate.run_float(
        made.bundle.graph,
        evaluate.feeds_to_float(made.bundle.graph, feeds.from_arrays(pixels(), made.bundle.graph)),
    )
    with torch.no_grad():
        wanted = network()(torch.from_numpy(normalised(pixels()))).numpy()
    np.testing.assert_allclose(found[made.bundle.graph.outputs[0].tensor], wanted, atol=1e-4)


def test_firmware_takes_bytes_and_stays_accurate() -> None:
    made = compiled(pixels())
    assert "const uint8_t in_input[BYTES_IN_INPUT_LEN]" in made.files["bytes.h"]
    assert outputs(made, pixels()).sqnr_db > 25


@pytest.mark.emulated
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_exact_on_cores(layout: str) -> None:
    made = compiled(pixels(), layout=layout)
    chosen = [boards.load(b) for b in ("mps2_an385_m0", "mps2_an386", "riscv32_virt")]
    assert [v.mismatches for v in check.check(made, chosen)] == [0] * 4


@pytest.mark.parametrize(
    ("name", "changed", "word"),
    [
        ("inptu", {}, "input"),
        ("input", {"mean": (1.0, 2.0)}, "mean"),
        ("input", {"std": (0.0,)}, "std"),
    ],
)
def test_wrong_descriptions_are_refused(name: str, changed: dict[str, Any], word: str) -> None:
    described = replace(InputConfig(mean=MEAN, std=STD), **changed)
    with pytest.raises(McuqError, match=word):
        compile_model(
            network(), torch.zeros(1, 3, 9, 10), pixels(), config=Config({name: described})
        )


@pytest.mark.parametrize("kind", ["uint8", "int64"])
def test_a_model_whose_input_holds_integers(kind: str, tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    weights = numpy_helper.from_array(chance.normal(0, 0.01, (4, 3, 3, 3)).astype("f4"), "w")
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["real", "w"], ["y"]),
    ]
    given = helper.make_tensor_value_info("image", getattr(TensorProto, kind.upper()), [1, 3, 9, 9])
    found = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 7, 7])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [given], [found], [weights])), path)
    values = chance.integers(0, 256, (32, 3, 9, 9)).astype(kind)
    made = compile_model(path, calibration=values, config=Config(quantize={"effort": "fast"}))
    assert check.check(made, [], 8)[0].exact
    assert outputs(made, values).sqnr_db > 30
