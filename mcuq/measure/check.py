"""Runs a compiled model on the host and emulated, and compares every tensor bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mcuq.draw.html import table
from mcuq.emulate import count, qemu, stack
from mcuq.errors import DataError, ToolError, brief
from mcuq.files import temporary
from mcuq.firmware import image as build
from mcuq.firmware.image import Image
from mcuq.fixed import DTYPES
from mcuq.ir import Array
from mcuq.measure.rehearsal import Rehearsal, rehearse
from mcuq.model import vectors
from mcuq.model.compiled import Compiled
from mcuq.progress import Progress, silent
from mcuq.reference import run_int
from mcuq.targets.boards import Board

HOST = "host"
MOST_ELEMENTS = 1 << 28
"""All activations of all vectors are compared: more of them would fill the memory."""


@dataclass(frozen=True)
class Difference:
    """The first element that differs: where it is and both values."""

    vector: int
    step: str
    tensor: str
    index: tuple[int, ...]
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"step '{self.step}' differs first, vector {self.vector}, {self.tensor}"
            f"{list(self.index)}: expected {self.expected}, got {self.got}"
        )


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a check on one board found. Bytes and instructions are None on the host.

    ``tensors``: tensors compared, ``mismatches``: how many of them differ. ``flash``: weights,
    constants and code; ``ram``: arena and statics; ``stack``: the measured worst case; all
    without the harness. ``stack_bound``: the worst case, proven; ``stack_compiler``: of what. The
    same of clang, if it was asked for and is installed. ``on``: where the board is, if it is a real
    one; ``cycles``: of one inference there, measured.
    """

    board: str
    core: str
    vectors: int
    tensors: int
    mismatches: int
    first: Difference | None = None
    instructions: int | None = None
    flash: int | None = None
    ram: int | None = None
    stack: int | None = None
    stack_bound: int | None = None
    stack_compiler: str | None = None
    stack_bound_clang: int | None = None
    stack_compiler_clang: str | None = None
    on: str | None = None
    cycles: int | None = None

    def __repr__(self) -> str:
        counted = [] if self.instructions is None else [f"{self.instructions:,} instructions"]
        return brief("Verdict", self.board, self.outcome, f"{self.vectors} vectors", *counted)

    def _repr_html_(self) -> str:
        columns = (
            "where",
            "tensors",
            "#vectors",
            "#instructions",
            "#flash B",
            "#RAM B",
            "#stack B",
        )
        numbers = (self.vectors, self.instructions, self.flash, self.ram, self.stack_bound)
        return table(columns, [(self.board, self.outcome, *numbers)])

    @property
    def exact(self) -> bool:
        return self.mismatches == 0

    @property
    def outcome(self) -> str:
        """In words."""
        return "exact" if self.exact else f"{self.mismatches:,} tensors differ"

    @property
    def stacks(self) -> dict[str, int]:
        """The proven stack in bytes by compiler, its version and flags."""
        found = ((self.stack_compiler, self.stack_bound),
                 (self.stack_compiler_clang, self.stack_bound_clang))  # fmt: skip
        return {name: size for name, size in found if name is not None and size is not None}

    def to_json(self) -> dict[str, Any]:
        facts = {k: v for k, v in asdict(self).items() if k not in ("board", "first")}
        return {**facts, "first_difference": str(self.first) if self.first else None}


def check(
    compiled: Compiled,
    boards: Sequence[Board],
    number: int = vectors.DEFAULT,
    seed: int = 0,
    progress: Progress = silent,
    clang: bool = False,
) -> list[Verdict]:
    """One verdict for the host and one per board, each over the same ``number`` of vectors.

    Of a stream these are steps, and more where two receptive fields are (``rehearsal``).

    ``clang``: the stack is proven for its code, too.
    """
    progress("integer reference", 0.0)
    wanted = expected_of(compiled, number, seed)
    verdicts = []
    with temporary() as work:
        progress(HOST, 0.05)
        verdicts.append(_check_host(compiled.on(None), work, wanted))
        for done, board in enumerate(boards):
            progress(board.name, (done + 1) / (len(boards) + 1))
            own = compiled.on(board)
            verdict = _check_board(own, board, work, wanted)
            verdicts.append(_with_clang(verdict, own, board, work) if clang else verdict)
    return verdicts


def expected_of(compiled: Compiled, number: int, seed: int) -> Rehearsal:
    """What images read, at least ``number`` vectors, and every tensor that comes out."""
    if number < 1:
        raise DataError("check", f"compares nothing with {number} vectors", "Give at least one")
    qgraph = compiled.program.qgraph
    size = sum(t.size for t in qgraph.tensors.values() if t.data is None)
    if number * size > MOST_ELEMENTS:
        reason = f"{number} vectors of {size} elements are too many to compare"
        raise DataError("check", reason, f"Give at most {max(1, MOST_ELEMENTS // size)}")
    if qgraph.stream is not None:
        return rehearse(compiled.bundle, qgraph, number, seed)
    rows = vectors.make(compiled.bundle, number, seed)
    return Rehearsal(vectors.to_bytes(compiled.bundle, rows), run_int(qgraph, rows), ())


def _check_host(compiled: Compiled, work: Path, wanted: Rehearsal) -> Verdict:
    program = build.compile_host(compiled.files, compiled.entry, work)
    traces = qemu.run_trace(program, wanted.data, compiled.entry)
    return compare(compiled, HOST, HOST, traces, wanted.values, wanted.blocks)


def _check_board(compiled: Compiled, board: Board, work: Path, wanted: Rehearsal) -> Verdict:
    def image(kind: str) -> Image:
        return build.compile_image(compiled.files, compiled.entry, board, work, kind)

    traces = qemu.run_trace(image("trace"), wanted.data, compiled.entry)
    verdict = compare(compiled, board.name, board.cpu, traces, wanted.values, wanted.blocks)
    plain, typical = image("plain"), vectors.typical(compiled.bundle)
    assert plain.sizes is not None
    return replace(
        verdict,
        instructions=count.count_total(plain, typical),
        flash=plain.sizes.flash,
        ram=plain.sizes.ram,
        stack=qemu.run_watermark(plain, typical),
        stack_bound=stack.worst_case(plain).bytes,
        stack_compiler=build.compiler_text(plain),
    )


def _with_clang(verdict: Verdict, compiled: Compiled, board: Board, work: Path) -> Verdict:
    """``verdict`` with the stack of clang's code; as it is where no clang is for the core."""
    files, entry = compiled.files, compiled.entry
    try:
        image = build.compile_image(files, entry, board, work, "plain", compiler="clang")
    except ToolError:
        return verdict
    return replace(
        verdict,
        stack_bound_clang=stack.worst_case(image).bytes,
        stack_compiler_clang=build.compiler_text(image),
    )


def compare(
    compiled: Compiled,
    name: str,
    core: str,
    traces: Sequence[Sequence[bytes]],
    expected: Mapping[str, Array],
    states: Sequence[bytes] = (),
) -> Verdict:
    """Hold every tensor of every vector, and of a stream its whole state, against the reference."""
    different = list(_differences(compiled, traces, expected, states))
    tensors = sum(len(trace) for trace in traces)
    first = different[0] if different else None
    return Verdict(name, core, len(traces), tensors, len(different), first)


def _differences(
    compiled: Compiled,
    traces: Sequence[Sequence[bytes]],
    expected: Mapping[str, Array],
    states: Sequence[bytes],
) -> Iterator[Difference]:
    """One per tensor or state that differs, in the order of execution."""
    graph = compiled.program.qgraph
    for number, trace in enumerate(traces):
        for step, data in zip(compiled.program.steps, trace, strict=not states):
            tensor = graph.tensors[step.node.output]
            dtype = np.dtype(DTYPES[tensor.kind]).newbyteorder("<")
            got = np.frombuffer(data, dtype).reshape(tensor.shape[1:])
            right = expected[tensor.name][number]
            if not np.array_equal(got, right):
                where = tuple(int(i) for i in np.argwhere(got != right)[0])
                values = int(right[where]), int(got[where])
                yield Difference(number, step.node.name, tensor.name, where, *values)
        if states and trace[-1] != states[number]:
            at = next(i for i, pair in enumerate(zip(trace[-1], states[number], strict=True))
                      if pair[0] != pair[1])  # fmt: skip
            yield Difference(number, "state", "state", (at,), states[number][at], trace[-1][at])
