"""Reads an ONNX file without trusting it: sizes, paths and structure are checked first."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from mcuq.capacity import excess, remedy
from mcuq.errors import McuqError, ModelError, raise_all
from mcuq.ir import Array, Shape

MAX_BYTES = 1 << 31
IR_WITH_OPSETS = 3
"""The first version of the file format that states the version of its operators."""


@dataclass(frozen=True)
class Input:
    """An input as the file states it; ``dims`` are sizes, or names of sizes it leaves open."""

    name: str
    dims: tuple[int | str, ...]
    element: int


_LONGEST_PATH = 1024


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A checked model: ``constants`` are initializers, ``functions`` by (domain, name).

    ``folder``: where external data may lie (None: nowhere).
    """

    name: str
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Any, ...]
    constants: dict[str, Array]
    opset: int
    functions: Mapping[tuple[str, str], Any]
    folder: Path | None = None


def read(path: Path) -> OnnxModel:
    """The model in the file ``path``; all structural faults at once."""
    thing = path.name
    if path.is_dir():
        raise ModelError(thing, "is not a file", "Give a .onnx file")
    if not path.is_file():
        raise ModelError(thing, "no such file", "Check the path")
    size = path.stat().st_size
    if size == 0:
        raise ModelError(thing, "is empty", "Export the model again")
    if size >= MAX_BYTES:
        raise ModelError(thing, "is larger than 2 GB", "Use a smaller network")
    return check(parse(path.read_bytes(), thing), thing, path.parent)


def external_files(path: Path) -> tuple[Path, ...]:
    """The files with the weights of a model that ``read`` accepts, by name; often there is none."""
    proto = parse(path.read_bytes(), path.name)
    tensors = [*_tensors(proto.graph), *(t for f in proto.functions for t in _of_nodes(f.node))]
    outside = [t for t in tensors if t.data_location == onnx.TensorProto.EXTERNAL]
    names = {e.value for t in outside for e in t.external_data if e.key == "location"}
    return tuple(_inside(name, path.name, path.parent) for name in sorted(names))


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor that a graph and its subgraphs store."""
    yield from graph.initializer
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    for attribute in (a for node in nodes for a in node.attribute):
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from _tensors(graph)


def parse(content: bytes, thing: str) -> Any:
    """The protobuf message in ``content``."""
    try:
        proto = onnx.load_model_from_string(content)
    except Exception as error:  # whatever protobuf raises: the file is at fault
        raise ModelError(
            thing, "is not an ONNX model, or is truncated", "Export it again with torch.onnx.export"
        ) from error
    _check_texts(proto, thing)
    if not proto.HasField("graph") or not proto.graph.output:
        raise ModelError(thing, "is not an ONNX model: it holds no graph with outputs", "")
    return proto


def _check_texts(message: Any, thing: str) -> None:
    """Refuse names that are no text: protobuf keeps any bytes in their place."""
    waiting = [message]
    while waiting:
        item = waiting.pop()
        for field in item.DESCRIPTOR.fields:
            if field.type not in (field.TYPE_STRING, field.TYPE_MESSAGE):
                continue
            value = getattr(item, field.name)
            parts = list(value) if hasattr(value, "append") else [value]
            if field.type == field.TYPE_MESSAGE:
                waiting += parts if hasattr(value, "append") or _is_set(item, field) else []
            elif not all(isinstance(part, str) for part in parts):
                reason = f"holds a name ({field.full_name}) that is no text"
                raise ModelError(thing, reason, "Export the model again")


def _is_set(item: Any, field: Any) -> bool:
    """Whether a single message is there."""
    try:
        return bool(item.HasField(field.name))
    except ValueError:  # a list of messages, here an empty one
        return False


def check(proto: Any, thing: str, folder: Path | None) -> OnnxModel:
    """The parts of ``proto``; ``folder`` is where external data may lie (None: nowhere)."""
    graph = proto.graph
    opset, faults = _opset(proto, thing)
    faults += _sparse_parts(proto, thing)
    faults += list(_duplicates(graph, thing))
    _check_total(graph, thing)
    constants: dict[str, Array] = {}
    for tensor in graph.initializer:
        try:
            constants[tensor.name] = to_array(tensor, thing, folder)
        except ModelError as error:
            faults.append(error)
    given = {tensor.name for tensor in graph.initializer}
    inputs = []
    for info in graph.input:
        if info.name not in given:
            try:
                inputs.append(_input(info, thing))
            except ModelError as error:
                faults.append(error)
    if not inputs and not faults:
        faults.append(ModelError(thing, "has no inputs", "Export a network that reads data"))
    raise_all(faults)
    outputs = tuple(info.name for info in graph.output)
    functions = {(f.domain, f.name): f for f in proto.functions}
    nodes = tuple(graph.node)
    return OnnxModel(thing, tuple(inputs), outputs, nodes, constants, opset, functions, folder)


def _check_total(graph: Any, thing: str) -> None:
    """Refuse too many constants; several may name the same bytes of a file."""
    sizes = (prod(max(0, int(d)) for d in tensor.dims) for tensor in graph.initializer)
    total = sum(size for size in sizes if not excess((size,)))
    if excess((total,)):
        raise ModelError(thing, f"{total} elements in initializers are too large", remedy())


def _opset(proto: Any, thing: str) -> tuple[int, list[McuqError]]:
    """The version of the standard operators; the first format had no word for it."""
    versions = [o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")]
    if not versions and proto.ir_version >= IR_WITH_OPSETS:
        return 0, [ModelError(thing, "states no ONNX opset", "Export it again")]
    return max(1, int(versions[0])) if versions else 1, []


def _sparse_parts(proto: Any, thing: str) -> list[McuqError]:
    return [
        ModelError(thing, f"initializer '{s.values.name}' is sparse", "Store it as a dense tensor")
        for s in proto.graph.sparse_initializer
    ]


def _duplicates(graph: Any, thing: str) -> Iterator[McuqError]:
    given = {tensor.name for tensor in graph.initializer}
    names = [tensor.name for tensor in graph.initializer]
    names += [info.name for info in graph.input if info.name not in given]
    names += [name for node in graph.node for name in node.output if name]
    seen: set[str] = set()
    for name in names:
        if name in seen:
            reason = f"the name '{name}' is given to two values"
            yield ModelError(thing, reason, "Every value needs its own name")
        seen.add(name)
    outputs = [info.name for info in graph.output]
    for name in sorted({n for n, count in Counter(outputs).items() if count > 1}):
        yield ModelError(thing, f"output '{name}' is listed twice", "List it once")


def _input(info: Any, thing: str) -> Input:
    """An input; a size that is below 0 or has no number is open."""
    where = f"{thing}: input '{info.name}'"
    if not isinstance(info.name, str):
        raise ModelError(where, "its name is no text", "Export the model again")
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type" or not info.type.tensor_type.HasField("shape"):
        raise ModelError(where, "has no known shape", "Export the model with fixed shapes")
    element = info.type.tensor_type.elem_type
    _check_type(element, where)
    dims: list[int | str] = []
    for axis, dim in enumerate(info.type.tensor_type.shape.dim):
        known = dim.HasField("dim_value") and dim.dim_value >= 0
        if known and dim.dim_value == 0:
            raise ModelError(where, f"axis {axis} has the size 0", "Give every axis a size above 0")
        dims.append(int(dim.dim_value) if known else str(dim.dim_param))
    return Input(info.name, tuple(dims), element)


_TYPES = onnx.TensorProto
_NUMBERS = (
    _TYPES.FLOAT, _TYPES.DOUBLE, _TYPES.FLOAT16, _TYPES.BFLOAT16, _TYPES.UINT8, _TYPES.INT8,
    _TYPES.UINT16, _TYPES.INT16, _TYPES.INT32, _TYPES.INT64, _TYPES.UINT32, _TYPES.UINT64,
)  # fmt: skip


def _check_type(kind: int, where: str) -> None:
    if kind not in _NUMBERS:
        raise ModelError(where, "is not numeric", "Give it float32 data")


def to_array(tensor: Any, thing: str, folder: Path | None) -> Array:
    """The data of a TensorProto: sizes are checked before anything is allocated or read."""
    where = f"{thing}: initializer '{tensor.name}'"
    shape = tuple(int(d) for d in tensor.dims)
    if min(shape, default=1) < 0 or excess(shape):
        raise ModelError(where, f"has the impossible shape {shape}", remedy())
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(where, "has an unknown data type", "Store it as float32") from error
    if dtype.kind == "O" or tensor.data_type == onnx.TensorProto.STRING:
        raise ModelError(where, "is not numeric", "Store it as float32")
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return _external(tensor, where, folder, shape, dtype)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that their stated type does not hold
            array: Array = onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # onnx and numpy raise many kinds: the file is at fault
        reason = f"its data does not fill its shape {shape}"
        raise ModelError(where, reason, "Export the model again") from error
    return array


def to_proto(name: str, values: Array) -> Any:
    """A stored tensor with these values; the inverse of ``to_array``."""
    return onnx.numpy_helper.from_array(values, name)


def _external(tensor: Any, where: str, folder: Path | None, shape: Shape, dtype: Any) -> Array:
    """The data of a tensor stored beside the model: never outside its folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    source = _inside(location, where, folder)
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", prod(shape) * dtype.itemsize))
    except ValueError as error:  # no digits, or more than Python takes
        raise ModelError(where, "its external offset or length is not a number") from error
    wanted = prod(shape) * dtype.itemsize
    if offset < 0 or length != wanted or offset + length > source.stat().st_size:
        reason = f"external data '{location}' does not hold its {wanted} bytes"
        raise ModelError(where, reason, "Export the model again")
    with source.open("rb") as stream:
        stream.seek(offset)
        content = stream.read(length)
    return np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype).reshape(shape)


def _inside(location: str, where: str, folder: Path | None) -> Path:
    """The file ``location`` in ``folder``; refused, unread, if it is or leads anywhere else."""
    reason = f"its external data '{location}' is not a file in the model's folder"
    refused = ModelError(where, reason, "Put the data beside the model, or inside it")
    parts = location.replace("\\", "/").split("/")
    if folder is None or not location or "\0" in location or ".." in parts or ":" in location:
        raise refused
    if len(location) > _LONGEST_PATH or any(len(part.encode()) > 255 for part in parts):
        raise refused
    if Path(location).is_absolute() or location.startswith(("/", "\\")):
        raise refused
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise refused
    if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        raise refused
    return path
