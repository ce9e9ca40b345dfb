"""Axes in any order, from either end: what they mean does not depend on how they are listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import agrees, feeds_for, model, node, run_graph, save

from mcuq import importers
from mcuq.errors import ModelError

SHAPE = {"x": ("N", 4, 6, 5)}


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def read(op: str, axes: tuple[int, ...], opset: int = 18, **attrs: Any) -> Any:
    """``op`` of the example with its axes as an input."""
    return model([node(op, "x a", "y", **attrs)], {"a": integers(*axes)}, SHAPE, opset=opset)


def padded(axes: tuple[int, ...], *pads: int) -> Any:
    constants = {"p": integers(*pads), "a": integers(*axes), "v": np.float32(0.5)}
    return model([node("Pad", "x p v a", "y")], constants, SHAPE, opset=18)


def squeezed(axes: tuple[int, ...]) -> Any:
    nodes = [node("ReduceMean", "x", "m", axes=[2, 3]), node("Squeeze", "m a", "y")]
    return model(nodes, {"a": integers(*axes)}, SHAPE)


def unsqueezed(axes: tuple[int, ...]) -> Any:
    nodes = [node("ReduceMean", "x", "m", axes=[2, 3], keepdims=0), node("Unsqueeze", "m a", "y")]
    return model(nodes, {"a": integers(*axes)}, SHAPE)


def sliced(axes: tuple[int, ...], starts: tuple[int, ...], ends: tuple[int, ...]) -> Any:
    """A product with a constant cut out of a larger one."""
    constants = {
        "c": np.arange(5 * 7 * 6, dtype=np.float32).reshape(5, 7, 6), "a": integers(*axes),
        "s": integers(*starts), "e": integers(*ends),
    }  # fmt: skip
    return model([node("Slice", "c s e a", "k"), node("Mul", "x k", "y")], constants, SHAPE)


MODELS = {
    "pad 3 2": padded((3, 2), 2, 0, 2, 0),
    "pad 3 2 all": padded((3, 2), 1, 2, 3, 4),
    "pad -1 1": padded((-1, 1), 1, 2, 0, 3),
    "pad 2 -3": padded((2, -3), 1, 2, 0, 3),
    "pad 3 1 2": padded((3, 1, 2), 1, 2, 3, 0, 1, 2),
    "mean 3 2": read("ReduceMean", (3, 2)),
    "mean -1 -2": read("ReduceMean", (-1, -2), keepdims=0),
    "mean 3 1": read("ReduceMean", (3, 1)),
    "max -1 2": read("ReduceMax", (-1, 2), keepdims=0),
    "squeeze 3 2": squeezed((3, 2)),
    "squeeze -1 2": squeezed((-1, 2)),
    "unsqueeze 3 2": unsqueezed((3, 2)),
    "unsqueeze -1 1": unsqueezed((-1, 1)),
    "unsqueeze -2 1": unsqueezed((-2, 1)),
    "slice 2 0": sliced((2, 0, 1), (0, 1, 1), (5, 5, 7)),
    "slice -1 -3": sliced((-1, -3, -2), (1, 0, 0), (6, 4, 6)),
    "transpose": model(
        [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Relu", "t", "y")], None, SHAPE
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_axes_in_any_order(name: str, tmp_path: Path) -> None:
    agrees(MODELS[name], tmp_path)


def test_pads_belong_to_the_axes_as_listed(tmp_path: Path) -> None:
    """pads 2, 0, 2, 0 of the axes 3, 2: the width grows by 4, the height does not."""
    graph = importers.load(save(padded((3, 2), 2, 0, 2, 0), tmp_path))
    feeds = feeds_for(graph)
    wanted = np.pad(feeds["x"], ((0, 0), (0, 0), (0, 0), (2, 2)), constant_values=0.5)
    assert np.array_equal(run_graph(graph, feeds)["y"], wanted)


@pytest.mark.parametrize(
    ("proto", "said"),
    [
        (padded((3, -1), 1, 1, 1, 1), "name an axis twice"),
        (padded((3, 2), 1, 1), "2 pads for 2 axes"),
        (read("ReduceMean", (2, -2)), "name an axis twice"),
        (unsqueezed((2, -1, 4)), "name an axis twice"),
    ],
)
def test_axes_that_do_not_fit(proto: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said):
        importers.load(save(proto, tmp_path))


def test_dropout_in_training_mode_is_refused(tmp_path: Path) -> None:
    constants = {"r": np.float32(0.5), "t": np.array(True)}
    proto = model([node("Dropout", "x r t", "y")], constants, SHAPE)
    with pytest.raises(ModelError, match="Dropout in training mode"):
        importers.load(save(proto, tmp_path))
    constants["t"] = np.array(False)
    nodes = [node("Relu", "x", "h"), node("Dropout", "h r t", "y")]
    agrees(model(nodes, constants, SHAPE), tmp_path)
