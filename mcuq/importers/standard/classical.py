"""What scikit-learn's converters put around a network (``ai.onnx.ml``), as standard operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.standard.modern import Old

Rewrite = Callable[[Old], list[Any] | None]
_POST = {"NONE": "Identity", "LOGISTIC": "Sigmoid", "SOFTMAX": "Softmax"}


def _scaler(old: Old) -> list[Any]:
    """``(x - offset) * scale``."""
    offset, scale = (
        old.constant(np.array(old.attribute(key, [usual]), np.float32), key)
        for key, usual in (("offset", 0.0), ("scale", 1.0))
    )
    moved = old.part("Sub", [old.input(0), offset], "moved")
    return [moved, old.part("Mul", [moved.output[0], scale])]


def _normalizer(old: Old) -> list[Any]:
    """Each row by its length."""
    norm = old.attribute("norm", "MAX")
    if norm != "L2":
        raise Refused(f"Normalizer with norm {norm}", "Use L2")
    return [old.part("LpNormalization", [old.input(0)], axis=-1, p=2)]


def _regressor(old: Old) -> list[Any]:
    """LinearRegressor: a layer."""
    targets = int(old.attribute("targets", 1))
    post = _POST.get(old.attribute("post_transform", "NONE"))
    if post is None:
        raise Refused("LinearRegressor with another post_transform", "Leave it out")
    weights = np.array(old.attribute("coefficients"), np.float32).reshape(targets, -1)
    bias = np.array(old.attribute("intercepts", [0.0] * targets), np.float32)
    names = [old.constant(weights, "weights"), old.constant(bias, "bias")]
    layer = old.part("Gemm", [old.input(0), *names], "layer", transB=1)
    return [layer, old.part(post, layer.output[:])]


def _classes(old: Old) -> list[Any]:
    """ArrayFeatureExtractor of the classes 0, 1, 2, ...: their index is the class."""
    known = old.constants.get(old.input(0))
    if known is None or not np.array_equal(known.reshape(-1), np.arange(known.size)):
        raise Refused("classes that are not 0, 1, 2, ...", "Read the index of the class instead")
    return [old.part("Identity", [old.input(1)])]


def _map(old: Old) -> list[Any]:
    """ZipMap: the values, without the names of their classes."""
    return [old.part("Identity", [old.input(0)])]


REWRITES: dict[str, Rewrite] = {
    "Scaler": _scaler,
    "Normalizer": _normalizer,
    "LinearRegressor": _regressor,
    "ArrayFeatureExtractor": _classes,
    "ZipMap": _map,
}
