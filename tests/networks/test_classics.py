"""Networks of the kinds that people publish, by three roads, against torch; exact in C."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from classic_networks import CLASSICS, classic
from onnx_models import run_graph

import mcuq
from mcuq import importers
from mcuq.ir import Graph

ROWS = 12


def scripted(module: Any, example: Any, folder: Path, opset: int) -> Path:
    """The module as the exporter of TorchScript writes it."""
    path = folder / "net.onnx"
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(module, example, str(path), dynamo=False, opset_version=opset)
    return path


def agrees_with_torch(graph: Graph, module: Any, example: tuple[Any, ...]) -> None:
    with torch.no_grad():
        result = module(*example)
    wanted = result if isinstance(result, tuple) else (result,)
    feeds = {
        port.name: value.numpy().reshape(1, *port.shape[1:])
        for port, value in zip(graph.inputs, example, strict=True)
    }
    found = run_graph(graph, feeds)
    for port, real in zip(graph.outputs, wanted, strict=True):
        np.testing.assert_allclose(
            found[port.name].reshape(-1), real.numpy().reshape(-1), rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("name", CLASSICS)
def test_as_torchscript_exports_it(name: str, tmp_path: Path) -> None:
    module, example = classic(name)
    path = scripted(module, example, tmp_path, 17)
    agrees_with_torch(importers.load(path), module, example)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSICS)
def test_as_a_module_exact_on_the_host(name: str) -> None:
    module, example = classic(name)
    graph = importers.from_torch(module, example)
    agrees_with_torch(graph, module, example)
    chance = np.random.default_rng(0)
    rows = {
        port.name: chance.normal(size=(ROWS, *port.shape[1:])).astype(np.float32)
        for port in graph.inputs
    }
    made = mcuq.compile(module, example, rows, effort="fast")
    assert [verdict.exact for verdict in made.check([], vectors=2)] == [True]
