"""Runs a user's own inputs through a compiled model in emulation."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mcuq.data import feeds as data
from mcuq.emulate import qemu
from mcuq.errors import DataError
from mcuq.files import is_stream, temporary, write_file
from mcuq.firmware import image as build
from mcuq.fixed import DTYPES
from mcuq.ir import Array, fed, from_memory, shown
from mcuq.model import vectors
from mcuq.model.compiled import Compiled
from mcuq.progress import Progress, silent
from mcuq.reference import feeds_to_int, port_to_int, port_to_real
from mcuq.sequences import steps_of
from mcuq.targets.boards import Board


def run_arrays(
    compiled: Compiled,
    board: Board,
    feeds: Mapping[str, Array],
    progress: Progress = silent,
) -> dict[str, Array]:
    """Outputs by name as integers in the user's layout, for reals ``feeds`` in internal order.

    Of a stream ``feeds`` are sequences, and the outputs those of their steps, one after the other.
    """
    compiled = compiled.on(board)
    graph = compiled.program.qgraph
    rows = _vectors(compiled, feeds)
    with temporary() as work:
        progress("building", 0.1)
        image = build.compile_image(compiled.files, compiled.entry, board, work, "run")
        progress("running", 0.5)
        results = qemu.run_outputs(image, rows, compiled.entry)
    outputs = {}
    for number, port in enumerate(shown(graph)):
        tensor = graph.tensors[port.tensor]
        dtype = np.dtype(DTYPES[tensor.kind]).newbyteorder("<")
        flat = np.stack([np.frombuffer(row[number], dtype) for row in results])
        values = flat.reshape(len(flat), *tensor.shape[1:])
        outputs[port.name] = from_memory(port, values.astype(DTYPES[tensor.kind]))
    return outputs


def _vectors(compiled: Compiled, feeds: Mapping[str, Array]) -> list[bytes]:
    """What the image reads: rows, or steps, of which the first of each sequence is a reset."""
    graph = compiled.program.qgraph
    if graph.stream is None:
        return vectors.to_bytes(compiled.bundle, feeds_to_int(graph, feeds))
    count = steps_of(graph, feeds)
    rows = {
        port.name: port_to_int(port, feeds[port.name].reshape(-1, *feeds[port.name].shape[2:]))
        for port in fed(graph)
    }
    lines = vectors.to_bytes(compiled.bundle, rows)
    return [qemu.command(reset=i % count == 0) + line for i, line in enumerate(lines)]


def run_file(
    compiled: Compiled, board: Board, source: str, out: Path, raw: bool, progress: Progress
) -> int:
    """Read inputs from ``source``, write the outputs to ``out``; the number of rows.

    One output to ``.npy``, or all by name to ``.npz``, to a pipe or to a device; reals, or the
    integers where ``raw``.
    """
    graph = compiled.program.qgraph
    names = tuple(port.name for port in shown(graph))
    if out.suffix not in (".npy", ".npz") and not is_stream(out):
        raise DataError(str(out), "is neither a .npy nor a .npz file", "Name one with -o")
    if out.suffix == ".npy" and len(names) > 1:
        raise data.several_outputs(out, names)
    outputs = run_arrays(compiled, board, data.load(source, compiled.bundle.graph), progress)
    ports = {port.name: port for port in shown(graph)}
    written = outputs if raw else {n: port_to_real(ports[n], v) for n, v in outputs.items()}
    stream = io.BytesIO()
    if out.suffix == ".npy":
        np.save(stream, written[names[0]])
    else:
        np.savez(stream, allow_pickle=False, **written)
    write_file(out, stream.getvalue())
    return len(written[names[0]])
