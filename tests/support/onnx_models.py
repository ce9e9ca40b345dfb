"""Small ONNX models, and their comparison with onnx's own reference evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from mcuq import importers, ir, reference
from mcuq.ir import Graph
from mcuq.passes import pipeline

Model = onnx.ModelProto
NodeText = tuple[Any, ...]


def random(*shape: int, seed: int = 0, low: float = -1.0, high: float = 1.0) -> Any:
    """Seeded float32 values of a shape."""
    return np.random.default_rng(seed + sum(shape)).uniform(low, high, shape).astype(np.float32)


def node(op: str, inputs: str, output: str, **attrs: Any) -> Any:
    """An ONNX node; names are separated by blanks and '-' leaves an input out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return onnx.helper.make_node(op, names, output.split(), name=f"{op}:{output}", **attrs)


def model(
    nodes: Sequence[Any],
    constants: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Sequence[int | str]] | None = None,
    outputs: str = "y",
    opset: int = 17,
) -> Model:
    """A model with float inputs; the default input is x of (N, 4, 6, 5)."""
    shapes = inputs or {"x": ("N", 4, 6, 5)}
    value = onnx.helper.make_tensor_value_info
    arrays = {name: np.asarray(data) for name, data in (constants or {}).items()}
    graph = onnx.helper.make_graph(
        list(nodes),
        "small",
        [value(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [value(name, onnx.TensorProto.FLOAT, None) for name in outputs.split()],
        [onnx.numpy_helper.from_array(data, name) for name, data in arrays.items()],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    made.ir_version = 8
    return made


def save(proto: Model, folder: Path, name: str = "net.onnx") -> Path:
    """The model in a file."""
    path = folder / name
    path.write_bytes(proto.SerializeToString())
    return path


def run_graph(graph: Graph, feeds: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs by name, inputs and outputs in the user's order."""
    inside = {
        port.name: ir.to_memory(port, graph.shape(port.tensor), feeds[port.name])
        for port in graph.inputs
    }
    found = reference.outputs_of(graph, inside)
    return {port.name: ir.from_memory(port, found[port.name]) for port in graph.outputs}


def feeds_for(graph: Graph, rows: int = 2) -> dict[str, Any]:
    """Seeded inputs in the user's order."""
    return {
        port.name: random(rows, *port.shape[1:], seed=index, low=-2.0, high=2.0)
        for index, port in enumerate(graph.inputs)
    }


def agrees(proto: Model, folder: Path, rows: int = 2, tolerance: float = 2e-5) -> Graph:
    """The graph after all passes; it and the imported one give what the evaluator gives."""
    read = importers.read(save(proto, folder))
    assert importers.check(read) == ()
    imported = read.graph
    assert list(ir.problems(imported)) == []
    passed = pipeline.run(imported)
    feeds = feeds_for(imported, rows)
    wanted = ReferenceEvaluator(proto).run(None, feeds)
    for graph in (imported, passed):
        found = run_graph(graph, feeds)
        for port, real in zip(graph.outputs, wanted, strict=True):
            values = found[port.name].reshape(real.shape)
            np.testing.assert_allclose(values, real, rtol=tolerance, atol=tolerance)
    return passed


def ops(graph: Graph) -> list[str]:
    """The operators in order."""
    return [n.op for n in graph.nodes]
