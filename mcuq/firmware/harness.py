"""What a test image adds to a generated model: buffers, known answers and a linker script."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcuq.emit import render
from mcuq.emit.c_text import fill
from mcuq.emit.entry import Argument, Entry
from mcuq.errors import DataError
from mcuq.targets.boards import Board


@dataclass(frozen=True)
class Vector:
    """Known answers: the bytes of each input, and of each output for them."""

    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]


@dataclass(frozen=True)
class _Held:
    symbol: str
    bytes: int


@dataclass(frozen=True)
class _Array:
    """A constant of the selftest; ``side`` is given (an input) or expected (an output)."""

    symbol: str
    side: str
    bytes: int
    lines: list[str]


def identity(files: Mapping[str, str], entry: Entry) -> bytes:
    """16 bytes that stand for the C of a model and its weights: an image says what is in it."""
    digest = hashlib.sha256(entry.blob or b"")
    for name in sorted(name for name in files if name.endswith((".c", ".h", ".S"))):
        digest.update(f"{name}\0{files[name]}\0".encode())
    return digest.digest()[:16]


def model_header(entry: Entry, which: bytes) -> str:
    """``mcuq_model.h``: static buffers for the model, its ``identity``, ``MCUQ_MODEL_RUN()``."""
    return render(
        "harness_model.h.j2",
        {
            "id": entry.id,
            "arena": max(1, entry.arena),
            "state": entry.state,
            "inputs": _buffers(entry.inputs, "in"),
            "outputs": _buffers(entry.outputs, "out"),
            "steps": len(entry.steps),
            "identity": list(which),
            "blob": fill(f"{value}," for value in entry.blob) if entry.blob else [],
            "blob_bytes": len(entry.blob or b""),
        },
    )


def _buffers(buffers: Sequence[Argument], side: str) -> list[_Held]:
    """Numbered rather than named: a model may use any identifier that begins like ours."""
    named = zip(symbols(buffers, side), buffers, strict=True)
    return [_Held(symbol, buffer.bytes) for symbol, buffer in named]


def symbols(buffers: Sequence[Argument], side: str) -> list[str]:
    """The names of the static buffers for the inputs ("in") or the outputs ("out")."""
    return [f"model_{side}_{i}" for i in range(len(buffers))]


def selftest(entry: Entry, vectors: Sequence[Vector]) -> str:
    """The main file of a selftest image: ``vectors`` and the code that compares."""
    if not vectors:
        raise DataError(entry.id, "a selftest needs at least one vector")
    arrays = [_arrays(entry, number, vector) for number, vector in enumerate(vectors)]
    return render("harness_selftest.c.j2", {"id": entry.id, "vectors": arrays})


def _arrays(entry: Entry, number: int, vector: Vector) -> list[_Array]:
    sides = (
        ("given", vector.inputs, entry.inputs),
        ("expected", vector.outputs, entry.outputs),
    )
    return [
        _array(f"{side}_{number}_{i}", side, data, buffer)
        for side, parts, buffers in sides
        for i, (data, buffer) in enumerate(zip(parts, buffers, strict=True))
    ]


def _array(symbol: str, side: str, data: bytes, buffer: Argument) -> _Array:
    if len(data) != buffer.bytes:
        raise DataError(buffer.name, f"a vector has {len(data)} bytes, not {buffer.bytes}")
    return _Array(symbol, side, len(data), fill(f"{value}," for value in data))


def linker_script(board: Board, stack: int) -> str:
    """The linker script for ``board``'s memory, with ``stack`` bytes reserved at the end of RAM."""
    regions = {"flash": board.flash, "ram": board.ram, "vectors": board.vectors}
    return render("linker.ld.j2", {"board": board.name, "stack": stack, **regions})
