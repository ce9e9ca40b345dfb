"""Reads a .tflite file into plain values without trusting it. No code of the file is run.

The schema comes from the ``tflite`` package, the format from ``flatbuffers``; neither checks what
it reads, so every offset, length and index of a file is suspect until this module is through.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tflite

from mcuq.capacity import excess, remedy
from mcuq.errors import ModelError
from mcuq.importers.tflite import sparse
from mcuq.ir import Array, Shape

IDENTIFIER = b"TFL3"
MAX_BYTES = 1 << 30
MAX_RANK = 8
BROKEN = (
    struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError, KeyError,
    ZeroDivisionError, AssertionError,
)  # fmt: skip
"""What flatbuffers and numpy raise where a file points beyond its end or to the wrong place."""
_DAMAGED = "is damaged, or is not a TensorFlow Lite model"
_AGAIN = "Convert the model again"


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor: ``type`` is a numpy name or, for what numpy has not, the schema's own word.

    ``real = (q - zeros) * scales``, one of each or one per index along ``axis``; both are empty
    where the numbers are themselves.
    """

    name: str
    shape: Shape
    type: str
    data: Array | None = None
    scales: tuple[float, ...] = ()
    zeros: tuple[int, ...] = ()
    axis: int = 0
    variable: bool = False

    @property
    def is_quantized(self) -> bool:
        return bool(self.scales) and self.type in ("int8", "uint8", "int16", "int4")


@dataclass(frozen=True)
class Operator:
    """One operator; ``inputs`` (None: left out) and ``outputs`` are places of tensors."""

    op: str
    inputs: tuple[int | None, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """A graph of a file. ``others``: those besides the main one, by number."""

    name: str
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]
    others: Mapping[int, Model] = field(default_factory=dict)


def read(path: Path) -> Model:
    """The model in the file ``path``."""
    thing = path.name
    if not path.is_file():
        reason = "is not a file" if path.exists() else "no such file"
        raise ModelError(thing, reason, "Check the path")
    if path.stat().st_size >= MAX_BYTES:
        raise ModelError(thing, "is larger than 1 GB", "Use a smaller network")
    return parse(path.read_bytes(), thing)


def parse(content: bytes, thing: str) -> Model:
    """The model in ``content``; ModelError for whatever is wrong with it."""
    if content[4:8] != IDENTIFIER:
        raise ModelError(thing, _DAMAGED, "Give a .tflite file")
    try:
        root = tflite.Model.GetRootAsModel(content, 0)
        if not 1 <= root.SubgraphsLength() <= len(content):
            raise ModelError(thing, "holds no graph", _AGAIN)
        return _model(root, thing, len(content))
    except BROKEN as error:
        raise damaged(thing, error) from error


def damaged(thing: str, error: Exception) -> ModelError:
    """What is said of a file in which ``error`` was met."""
    return ModelError(thing, f"{_DAMAGED} ({type(error).__name__})", _AGAIN)


def _model(root: Any, thing: str, limit: int) -> Model:
    """The main graph, which must have inputs and outputs, and all others."""
    main, *others = (_graph(root, i, thing, limit) for i in range(root.SubgraphsLength()))
    if not main.inputs or not main.outputs:
        raise ModelError(thing, "has no inputs or no outputs", "Convert a network that reads data")
    return replace(main, others=dict(enumerate(others, 1)))


def _graph(root: Any, number: int, thing: str, limit: int) -> Model:
    graph = root.Subgraphs(number)
    for count in (graph.TensorsLength(), graph.OperatorsLength(), root.OperatorCodesLength()):
        if count > limit // 4:
            raise ModelError(thing, _DAMAGED, _AGAIN)
    tensors = [_tensor(graph.Tensors(i), root, thing) for i in range(graph.TensorsLength())]
    codes = [_code(root.OperatorCodes(i), thing) for i in range(root.OperatorCodesLength())]
    operators = tuple(
        _operator(graph.Operators(i), codes, len(tensors)) for i in range(graph.OperatorsLength())
    )
    inputs = _places(graph.InputsAsNumpy()) if graph.InputsLength() else ()
    outputs = _places(graph.OutputsAsNumpy()) if graph.OutputsLength() else ()
    for place in (*inputs, *outputs):
        tensors[place if place >= 0 else len(tensors)]  # a place that is none is an IndexError
    wished = _signature(root, number, inputs, outputs)
    return Model(thing, _named(tensors, wished), inputs, outputs, operators)


def _signature(
    root: Any, number: int, inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> dict[int, str]:
    """The names that the model's signature gives the inputs and outputs, by place."""
    found: dict[int, str] = {}
    for index in range(root.SignatureDefsLength()):
        signature = root.SignatureDefs(index)
        if signature.SubgraphIndex() != number:
            continue
        maps = [signature.Inputs(i) for i in range(signature.InputsLength())]
        maps += [signature.Outputs(i) for i in range(signature.OutputsLength())]
        for entry in maps:
            place, name = int(entry.TensorIndex()), _text(entry.Name())
            if name and place in (*inputs, *outputs):
                found.setdefault(place, name)
        return found
    return found


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")


def _named(tensors: list[Tensor], wished: Mapping[int, str]) -> tuple[Tensor, ...]:
    """The tensors with names of their own: files leave them out, or use one twice."""
    taken: set[str] = set()
    names: dict[int, str] = {}
    for place in sorted(range(len(tensors)), key=lambda place: (place not in wished, place)):
        name = wished.get(place) or tensors[place].name or f"tensor_{place}"
        while name in taken:
            name = f"{name}_{place}"
        taken.add(name)
        names[place] = name
    return tuple(replace(tensor, name=names[place]) for place, tensor in enumerate(tensors))


def _tensor(raw: Any, root: Any, thing: str) -> Tensor:
    name = _text(raw.Name())
    where = f"{thing}: tensor '{name}'"
    shape = _places(raw.ShapeAsNumpy()) if raw.ShapeLength() else ()
    kind = _types().get(raw.Type(), f"type {raw.Type()}")
    if len(shape) > MAX_RANK or any(size < 0 for size in shape):
        raise ModelError(where, f"has the impossible shape {shape}", _AGAIN)
    if excess(shape):
        raise ModelError(where, excess(shape), remedy())
    buffer = root.Buffers(raw.Buffer())
    if buffer.Offset() > 1 or buffer.Size() > 1:
        raise ModelError(where, "keeps its data outside the file's tables", _AGAIN)
    scales, zeros, axis = _numbers(raw.Quantization(), shape, where)
    if kind in ("int8", "uint8", "int16") and any(not _holds(kind, zero) for zero in zeros):
        raise ModelError(where, f"has a zero point that is no {kind}", _AGAIN)
    data = None
    if buffer.DataLength() and raw.Sparsity() is not None:
        data = _sparse(raw.Sparsity(), buffer.DataAsNumpy(), kind, shape, where)
    elif buffer.DataLength():
        data = _data(buffer.DataAsNumpy(), kind, shape, where)
    return Tensor(name, shape, kind, data, scales, zeros, axis, bool(raw.IsVariable()))


def _sparse(raw: Any, content: Array, kind: str, shape: Shape, where: str) -> Array:
    """The values of a constant of which only some are stored."""
    if kind not in _NUMPY:
        raise ModelError(where, f"is stored sparse, as {kind}", "Convert it without sparse storage")
    stored = _data(content, kind, (len(content) // np.dtype(kind).itemsize,), where)
    return sparse.dense(raw, stored, shape)


def _data(content: Array, kind: str, shape: Shape, where: str) -> Array:
    """The values of a constant; the bytes must be as many as its shape says."""
    raw = np.asarray(content, np.uint8)
    if kind == "int4":
        nibbles = np.stack([raw & 15, raw >> 4], axis=-1).reshape(-1)[: prod(shape)].astype(np.int8)
        values = np.where(nibbles > 7, nibbles - 16, nibbles).astype(np.int8)
    elif kind in _NUMPY:
        dtype = np.dtype(kind).newbyteorder("<")
        if raw.size != prod(shape) * dtype.itemsize:
            reason = f"holds {raw.size} bytes of data, but its shape needs "
            raise ModelError(where, f"{reason}{prod(shape) * dtype.itemsize}", _AGAIN)
        values = np.frombuffer(raw.tobytes(), dtype).astype(kind)
    else:
        return raw
    if values.size != prod(shape):
        raise ModelError(where, "holds fewer values than its shape needs", _AGAIN)
    return values.reshape(shape)


def _holds(kind: str, value: int) -> bool:
    limits = np.iinfo(kind)
    return bool(limits.min <= value <= limits.max)


def _numbers(raw: Any, shape: Shape, where: str) -> tuple[tuple[float, ...], tuple[int, ...], int]:
    """Scales, zero points and the axis along which they differ."""
    if raw is None or not raw.ScaleLength():
        return (), (), 0
    scales = tuple(float(s) for s in raw.ScaleAsNumpy())
    zeros = tuple(int(z) for z in raw.ZeroPointAsNumpy()) if raw.ZeroPointLength() else ()
    zeros = zeros * (len(scales) if len(zeros) == 1 else 1) or (0,) * len(scales)
    axis = int(raw.QuantizedDimension())
    if not all(np.isfinite(s) and s >= 0 for s in scales):
        raise ModelError(where, "has a scale that is no positive number", "Calibrate it again")
    several = len(scales) > 1
    if len(zeros) != len(scales) or (several and not 0 <= axis < len(shape)):
        raise ModelError(where, "has scales and zero points that do not fit", _AGAIN)
    if several and len(scales) != shape[axis]:
        raise ModelError(where, f"has {len(scales)} scales for {shape[axis]} channels", _AGAIN)
    return scales, zeros, axis


def _code(raw: Any, thing: str) -> str:
    """The operator's name, CUSTOM:name for one that TensorFlow Lite does not have itself."""
    builtin = max(int(raw.BuiltinCode()), int(raw.DeprecatedBuiltinCode()))
    name = _operators().get(builtin, f"operator {builtin}")
    return f"CUSTOM:{_text(raw.CustomCode())}" if name == "CUSTOM" else name


def _operator(raw: Any, codes: list[str], count: int) -> Operator:
    inputs = _places(raw.InputsAsNumpy()) if raw.InputsLength() else ()
    outputs = _places(raw.OutputsAsNumpy()) if raw.OutputsLength() else ()
    if any(place >= count for place in (*inputs, *outputs)) or any(o < 0 for o in outputs):
        raise IndexError("an operator names a tensor that is none")
    given = tuple(place if place >= 0 else None for place in inputs)
    code = raw.OpcodeIndex()
    if not 0 <= code < len(codes):
        raise IndexError("an operator has no code")
    return Operator(codes[code], given, outputs, _options(raw))


def _options(raw: Any) -> dict[str, Any]:
    """Every scalar, text and vector of an operator's options, by the schema's names."""
    kind, table = _option_types().get(raw.BuiltinOptionsType()), raw.BuiltinOptions()
    if kind is None or table is None:
        return {}
    options = kind()
    options.Init(table.Bytes, table.Pos)
    return {name: getter(options) for name, getter in _getters(kind)}


@cache
def _getters(kind: type) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """The methods of an options class that read one field each."""
    ends = ("AsNumpy", "IsNone", "Length", "BufferHasIdentifier")
    found = []
    for name in dir(kind):
        getter = getattr(kind, name)
        about = name == "Init" or name.startswith(("_", "GetRootAs")) or name.endswith(ends)
        if about or not callable(getter):
            continue
        vector = hasattr(kind, f"{name}AsNumpy")
        if not vector:
            found.append((name, getter))
    return tuple(found)


def _places(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _words(enumeration: type) -> Iterator[tuple[str, int]]:
    for word, value in vars(enumeration).items():
        if isinstance(value, int):
            yield word, value


@cache
def _operators() -> dict[int, str]:
    return {value: word for word, value in _words(tflite.BuiltinOperator)}


@cache
def _types() -> dict[int, str]:
    return {value: word.lower() for word, value in _words(tflite.TensorType)}


@cache
def _option_types() -> dict[int, type]:
    kinds = {value: getattr(tflite, word, None) for word, value in _words(tflite.BuiltinOptions)}
    return {value: kind for value, kind in kinds.items() if isinstance(kind, type)}


_NUMPY = (
    "float16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32",
    "int64", "uint64", "bool",
)  # fmt: skip
