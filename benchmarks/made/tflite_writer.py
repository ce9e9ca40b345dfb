"""Writes .tflite files from a description: any tensors and operators, valid or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import tflite

from mcuq.ir import Array


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator; ``-`` stands for an operand that is left out."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kind: str
    options: Mapping[str, Any]


def op(name: str, inputs: str, outputs: str, kind: str = "", **options: Any) -> Operator:
    """``kind``: the name of its options in the schema, without the word Options; ``CUSTOM:NAME`` is
    an operator that the schema has not.
    """
    return Operator(name, tuple(inputs.split()), tuple(outputs.split()), kind, options)


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of a file. ``sparse``: (traversal order, block map, dimensions)."""

    shape: tuple[int, ...] = ()
    type: str = "float32"
    data: Array | None = None
    scales: tuple[float, ...] = ()
    zeros: tuple[int, ...] = ()
    axis: int = 0
    sparse: tuple[Any, ...] = ()
    variable: bool = False


@dataclass(frozen=True, eq=False)
class Net:
    """``graphs``: further subgraphs. ``signature``: (inputs, outputs) as {key: tensor}."""

    operators: tuple[Operator, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    graphs: tuple[Net, ...] = ()
    signature: tuple[Mapping[str, str], Mapping[str, str]] | None = None


def written(made: Net) -> bytes:
    """The bytes of a .tflite file."""
    builder = flatbuffers.Builder(1 << 12)
    graphs = (made, *made.graphs)
    buffers, names = [b""], sorted({o.op for g in graphs for o in g.operators})
    subgraphs = [
        _subgraph(builder, graph, names, buffers, f"g{i}") for i, graph in enumerate(graphs)
    ]
    codes = [_code(builder, name) for name in names]
    stored = [_buffer(builder, content) for content in buffers]
    lists = {
        "Subgraphs": _tables(builder, subgraphs),
        "OperatorCodes": _tables(builder, codes),
        "Buffers": _tables(builder, stored),
    }
    if made.signature:
        lists["SignatureDefs"] = _tables(builder, [_signature(builder, made)])
    root = _table(builder, "Model", Version=3, **lists)
    builder.Finish(root, file_identifier=b"TFL3")
    return bytes(builder.Output())


def _table(builder: Any, name: str, **fields: Any) -> int:
    getattr(tflite, f"{name}Start")(builder)
    for key, value in fields.items():
        getattr(tflite, f"{name}Add{key}")(builder, value)
    return int(getattr(tflite, f"{name}End")(builder))


def _tables(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _ints(builder: Any, values: Sequence[float], dtype: str = "int32") -> int:
    return int(builder.CreateNumpyVector(np.array(values, dtype)))


def _code(builder: Any, name: str) -> int:
    builtin, _, custom = name.partition(":")
    number = getattr(tflite.BuiltinOperator, builtin)
    more = {"CustomCode": builder.CreateString(custom)} if custom else {}
    return _table(
        builder, "OperatorCode", DeprecatedBuiltinCode=min(number, 127), BuiltinCode=number,
        Version=_VERSIONS.get(name, 1), **more,
    )  # fmt: skip


_VERSIONS = {"FULLY_CONNECTED": 4, "BROADCAST_TO": 2}


def _buffer(builder: Any, content: bytes) -> int:
    if not content:
        return _table(builder, "Buffer")
    data = builder.CreateByteVector(content)
    return _table(builder, "Buffer", Data=data)


def _signature(builder: Any, made: Net) -> int:
    assert made.signature is not None
    places = {name: place for place, name in enumerate(made.tensors)}
    maps = []
    for names in made.signature:
        entries = []
        for key, name in names.items():
            text = builder.CreateString(key)
            entries.append(_table(builder, "TensorMap", Name=text, TensorIndex=places[name]))
        maps.append(_tables(builder, entries))
    key = builder.CreateString("serving_default")
    return _table(
        builder, "SignatureDef", Inputs=maps[0], Outputs=maps[1], SignatureKey=key, SubgraphIndex=0
    )


def _subgraph(builder: Any, graph: Net, codes: list[str], buffers: list[bytes], name: str) -> int:
    places = {name: place for place, name in enumerate(graph.tensors)}
    tensors = [_tensor(builder, n, t, buffers) for n, t in graph.tensors.items()]
    operators = [_operator(builder, each, codes, places) for each in graph.operators]
    lists = {
        "Tensors": _tables(builder, tensors),
        "Operators": _tables(builder, operators),
        "Inputs": _ints(builder, [places[n] for n in graph.inputs]),
        "Outputs": _ints(builder, [places[n] for n in graph.outputs]),
        "Name": builder.CreateString(name),
    }
    return _table(builder, "SubGraph", **lists)


def _tensor(builder: Any, name: str, tensor: Tensor, buffers: list[bytes]) -> int:
    fields: dict[str, Any] = {
        "Name": builder.CreateString(name),
        "Shape": _ints(builder, tensor.shape),
        "Type": getattr(tflite.TensorType, tensor.type.upper()),
        "Buffer": 0,
    }
    if tensor.data is not None:
        fields["Buffer"] = len(buffers)
        buffers.append(np.ascontiguousarray(tensor.data).tobytes())
    if tensor.scales:
        fields["Quantization"] = _table(
            builder, "QuantizationParameters",
            Scale=_ints(builder, tensor.scales, "float32"),
            ZeroPoint=_ints(builder, tensor.zeros, "int64"),
            QuantizedDimension=tensor.axis,
        )  # fmt: skip
    if tensor.variable:
        fields["IsVariable"] = True
    if tensor.sparse:
        fields["Sparsity"] = _sparsity(builder, *tensor.sparse)
    return _table(builder, "Tensor", **fields)


def _sparsity(
    builder: Any, order: Sequence[int], blocks: Sequence[int], dims: Sequence[Any]
) -> int:
    """``dims``: of each dimension its size, or its (segments, indices)."""
    made = []
    for dim in dims:
        if isinstance(dim, int):
            made.append(_table(builder, "DimensionMetadata", Format=0, DenseSize=dim))
            continue
        kinds = {"Format": 1, "ArraySegmentsType": 1, "ArrayIndicesType": 1}
        vectors = [_table(builder, "Int32Vector", Values=_ints(builder, part)) for part in dim]
        made.append(
            _table(
                builder,
                "DimensionMetadata",
                **kinds,
                ArraySegments=vectors[0],
                ArrayIndices=vectors[1],
            )
        )
    return _table(
        builder, "SparsityParameters", TraversalOrder=_ints(builder, order),
        BlockMap=_ints(builder, blocks), DimMetadata=_tables(builder, made),
    )  # fmt: skip


def _operator(builder: Any, each: Operator, codes: list[str], places: Mapping[str, int]) -> int:
    fields: dict[str, Any] = {}
    if each.kind:
        options = {
            key: _ints(builder, value)
            if isinstance(value, (list, tuple))
            else builder.CreateString(value)
            if isinstance(value, str)
            else value
            for key, value in each.options.items()
        }
        fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, f"{each.kind}Options")
        fields["BuiltinOptions"] = _table(builder, f"{each.kind}Options", **options)
    inputs = [-1 if name == "-" else places[name] for name in each.inputs]
    fields |= {
        "Inputs": _ints(builder, inputs),
        "Outputs": _ints(builder, [places[name] for name in each.outputs]),
        "OpcodeIndex": codes.index(each.op),
    }
    return _table(builder, "Operator", **fields)
