"""Reads an ONNX file without trusting it: sizes, paths and structure are checked first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from mcuq.capacity import excess, remedy
from mcuq.errors import McuqError, ModelError, raise_all
from mcuq.ir import Array, Shape

OLDEST_OPSET = 11
MAX_BYTES = 1 << 31


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A checked model: ``inputs`` are (name, shape with batch 1), ``constants`` initializers."""

    name: str
    inputs: tuple[tuple[str, Shape], ...]
    outputs: tuple[str, ...]
    nodes: tuple[Any, ...]
    constants: dict[str, Array]
    opset: int


def read(path: Path) -> OnnxModel:
    """The model in the file ``path``; all structural faults at once."""
    thing = path.name
    if not path.exists():
        raise ModelError(thing, "no such file", "Check the path")
    if not path.is_file():
        raise ModelError(thing, "is not a file", "Give a .onnx file")
    size = path.stat().st_size
    if size == 0:
        raise ModelError(thing, "is empty", "Export the model again")
    if size >= MAX_BYTES:
        raise ModelError(thing, "is larger than 2 GB", "Use a smaller network")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(thing, f"cannot be read ({error.strerror})") from error
    return check(parse(content, thing), thing, path.parent)


def external_files(path: Path) -> tuple[Path, ...]:
    """The files with the weights of a model that ``read`` accepts, by name; often there is none."""
    tensors = parse(path.read_bytes(), path.name).graph.initializer
    outside = [t for t in tensors if t.data_location == onnx.TensorProto.EXTERNAL]
    names = {e.value for t in outside for e in t.external_data if e.key == "location"}
    return tuple(_inside(name, path.name, path.parent) for name in sorted(names))


def parse(content: bytes, thing: str) -> Any:
    """The protobuf message in ``content``."""
    try:
        proto = onnx.load_model_from_string(content)
    except Exception as error:  # whatever protobuf raises: the file is at fault
        raise ModelError(
            thing, "is not an ONNX model, or is truncated", "Export it again with torch.onnx.export"
        ) from error
    if not proto.HasField("graph") or not proto.graph.output:
        raise ModelError(thing, "is not an ONNX model: it holds no graph with outputs", "")
    return proto


def check(proto: Any, thing: str, folder: Path | None) -> OnnxModel:
    """The parts of ``proto``; ``folder`` is where external data may lie (None: nowhere)."""
    graph = proto.graph
    opset, faults = _opset(proto, thing)
    faults += _unsupported_parts(proto, thing)
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
                inputs.append((info.name, _input_shape(info, thing)))
            except ModelError as error:
                faults.append(error)
    if not inputs and not faults:
        faults.append(ModelError(thing, "has no inputs", "Export a network that reads data"))
    raise_all(faults)
    outputs = tuple(info.name for info in graph.output)
    return OnnxModel(thing, tuple(inputs), outputs, tuple(graph.node), constants, opset)


def _check_total(graph: Any, thing: str) -> None:
    """Refuse too many constants; several may name the same bytes of a file."""
    sizes = (prod(max(0, int(d)) for d in tensor.dims) for tensor in graph.initializer)
    total = sum(size for size in sizes if not excess((size,)))
    if excess((total,)):
        raise ModelError(thing, f"{total} elements in initializers are too large", remedy())


def _opset(proto: Any, thing: str) -> tuple[int, list[McuqError]]:
    versions = [o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")]
    if not versions:
        return 0, [ModelError(thing, "states no ONNX opset", "Export it again")]
    if versions[0] < OLDEST_OPSET:
        reason = f"opset {versions[0]} is older than {OLDEST_OPSET}"
        remedy = "Convert it with onnx.version_converter.convert_version(model, 17)"
        return versions[0], [ModelError(thing, reason, remedy)]
    return int(versions[0]), []


def _unsupported_parts(proto: Any, thing: str) -> list[McuqError]:
    faults: list[McuqError] = []
    if proto.functions:
        names = ", ".join(f"'{f.name}'" for f in proto.functions)
        remedy = "Inline them with onnx.inliner.inline_local_functions(model)"
        faults.append(ModelError(thing, f"holds functions: {names}", remedy))
    for sparse in proto.graph.sparse_initializer:
        reason = f"initializer '{sparse.values.name}' is sparse"
        faults.append(ModelError(thing, reason, "Store it as a dense tensor"))
    return faults


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


def _input_shape(info: Any, thing: str) -> Shape:
    """The shape of an input with batch 1; every other size must be known."""
    where = f"{thing}: input '{info.name}'"
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type" or not info.type.tensor_type.HasField("shape"):
        raise ModelError(where, "has no known shape", "Export the model with fixed shapes")
    _check_type(info.type.tensor_type.elem_type, where)
    sizes = []
    for axis, dim in enumerate(info.type.tensor_type.shape.dim):
        if axis and (not dim.HasField("dim_value") or dim.dim_value < 1):
            name = f" '{dim.dim_param}'" if dim.dim_param else ""
            reason = f"axis {axis} has the dynamic size{name}"
            raise ModelError(where, reason, "Export with fixed sizes; only the batch may vary")
        sizes.append(int(dim.dim_value) if axis else 1)
    if len(sizes) < 2:
        reason = f"has {len(sizes)} axes; the first is the batch, and data must follow"
        raise ModelError(where, reason, "Give it the shape (1, ...)")
    if excess(sizes):
        raise ModelError(where, excess(sizes), remedy())
    return tuple(sizes)


def _check_type(kind: int, where: str) -> None:
    types = onnx.TensorProto
    numbers = (
        types.FLOAT, types.DOUBLE, types.FLOAT16, types.BFLOAT16, types.UINT8, types.INT8,
        types.UINT16, types.INT16, types.INT32, types.INT64, types.UINT32, types.UINT64,
    )  # fmt: skip
    if kind not in numbers:
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
        array: Array = onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = f"its data does not fill its shape {shape}"
        raise ModelError(where, reason, "Export the model again") from error
    return array


def _external(tensor: Any, where: str, folder: Path | None, shape: Shape, dtype: Any) -> Array:
    """The data of a tensor stored beside the model: never outside its folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    source = _inside(location, where, folder)
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", prod(shape) * dtype.itemsize))
    except ValueError as error:
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
