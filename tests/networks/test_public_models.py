"""Models that people published, beside the checkout: those that come through are right.

The right value is the evaluator's on the file as it is; a model that was quantized rounds there
and not here, so its output is only near.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.version_converter
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_models import random, run_graph
from places import SHARED

from mcuq import capacity, importers
from mcuq.importers.sizes import Sizes

FOLDER = SHARED / "public"
SIZES = {"rapidocr_cls": {"x": (1, 3, 48, 192)}}
EXACT = {
    "deeploy_autoenc1d", "deeploy_tinyvit", "espdl_streaming", "fall_f103", "gesture_esp",
    "kitahack_tcn", "letnet_gray", "onnx2c_mnist", "onnx2c_velardo9", "rapidocr_cls", "sayit_kws",
    "snn_ctrl_policy", "st_mbv2_05_128", "st_yamnet", "super_resolution", "tiny_cnn_mpu6050",
    "tract_keras", "yunet_n_320",
}  # fmt: skip
LARGE = {"kitahack_tcn": 1 << 27}
"""All tensors of these together have more elements than mcuq takes unasked."""
NEAR = {"connxr_mnist_quant": 20.0}
"""Decibels: these round to 8 bits inside."""
OLD_NORMS = {"rapidocr_cls"}


def decibels(real: Any, found: Any) -> float:
    noise = float(np.mean((real - found) ** 2))
    return float("inf") if noise == 0 else 10 * float(np.log10(np.mean(real**2) / noise))


def feeds(graph: Any, name: str) -> dict[str, Any]:
    low = 0.0 if name in NEAR else -1.0
    return {
        port.name: random(1, *port.shape[1:], seed=index, low=low)
        for index, port in enumerate(graph.inputs)
    }


def as_evaluated(proto: Any, name: str) -> Any:
    """The model as the evaluator understands it.

    It knows the standard operators by one name of their domain only, and takes the momentum of an
    old BatchNormalization for a wish to train.
    """
    for opset in proto.opset_import:
        opset.domain = "" if opset.domain == "ai.onnx" else opset.domain
    if name in OLD_NORMS:
        return onnx.version_converter.convert_version(proto, 15)
    return proto


@pytest.mark.parametrize("name", sorted({*EXACT, *NEAR}))
def test_comes_through_and_is_right(name: str) -> None:
    path = FOLDER / f"{name}.onnx"
    with capacity.allowing(LARGE.get(name, capacity.MAX_ELEMENTS)):
        graph = importers.load(path, Sizes(SIZES.get(name, {})))
    given = feeds(graph, name)
    proto = as_evaluated(onnx.load(path), name)
    ranks = {i.name: len(i.type.tensor_type.shape.dim) for i in proto.graph.input}
    own = {n: v.reshape(v.shape[v.ndim - ranks[n] :]) for n, v in given.items()}
    wanted = ReferenceEvaluator(proto).run(None, own)
    found = run_graph(graph, given)
    for port, real in zip(graph.outputs, wanted, strict=True):
        values = found[port.name].reshape(np.shape(real))
        assert decibels(np.asarray(real, np.float64), values) >= NEAR.get(name, 100.0)


INTEGERS = ["deeploy_kws", "match_drone_reg", "match_kws"]


@pytest.mark.parametrize("name", ["ece_int8", "match_kws_fp16", "tinycnn_esp_int8", *INTEGERS])
def test_comes_through(name: str) -> None:
    """What the evaluator does not compute, computes in half precision or rounds to 8 bits."""
    assert importers.problems_of(FOLDER / f"{name}.onnx") == ()


def test_what_does_not_come_through_lacks_an_operator() -> None:
    """No file is stopped by its opset, its sizes, its batch or its container."""
    lines = [
        str(fault)
        for path in sorted(FOLDER.glob("*.onnx"))
        if path.stem not in SIZES and path.stem not in LARGE
        for fault in importers.problems_of(path)
    ]
    words = ("is not supported", "computed", "takes a part", "not a float", "with integers")
    others = [line for line in lines if not any(word in line for word in words)]
    assert others == []
