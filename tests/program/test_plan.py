"""The planner on hand-made programs: lives, in-place steps, gaps, scratch, and random checks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from mcuq.ir import Node, Port
from mcuq.kernels.variant import Call, Variant
from mcuq.program.lower import Program, Step
from mcuq.program.plan import Buffer, Placed, Plan, _gaps, _tensor_buffers, compatible, plan
from mcuq.qir import QGraph, QTensor
from mcuq.targets.cores import GENERIC


def program(
    sizes: dict[str, int],
    steps: list[tuple[str, tuple[str, ...], int | None, int]],
    outputs: tuple[str, ...],
) -> Program:
    """``steps``: output, inputs, gap of every input, scratch."""
    tensors = {n: QTensor(n, (1, s), "s8", 0) for n, s in sizes.items()}
    nodes = [Node("fake", out, ins, (out,)) for out, ins, _, _ in steps]
    graph = QGraph(
        "fake",
        (Port("x", "x", (1, sizes["x"])),),
        tuple(Port(n, n, (1, sizes[n])) for n in outputs),
        tuple(nodes),
        tensors,
    )
    made = tuple(
        _step(node, gap, scratch) for node, (_, _, gap, scratch) in zip(nodes, steps, strict=True)
    )
    return Program(graph, GENERIC, "balanced", made, {})


def _step(node: Node, gap: int | None, scratch: int) -> Step:
    variant = Variant("fake", "fake", lambda n, g: (), lambda n, g, c: 0.0, gap=lambda n, g, i: gap)
    call = Call("fake", "fake_params", (), node.inputs, node.output, scratch=scratch)
    return Step(node, variant, (call,), 0, ())


def chain(gap: int | None, *sizes: int, scratch: int = 0) -> Program:
    names = ["x", *(f"t{i}" for i in range(1, len(sizes)))]
    steps = [(b, (a,), gap, scratch) for a, b in pairwise(names)]
    return program(dict(zip(names, sizes, strict=True)), steps, (names[-1],))


@pytest.mark.parametrize(
    ("made", "size", "bound"),
    [
        (chain(None, 8, 100, 8), 100, 100),  # one tensor: its own size; ends are the caller's
        (chain(None, 8, 100, 60, 8), 160, 160),  # neighbours live together
        (chain(None, 8, 100, 60, 100, 8), 160, 160),  # first and third share
        (chain(0, 8, 100, 100, 100, 8), 100, 100),  # in place throughout
        (chain(12, 8, 100, 100, 8), 112, 112),  # shifted by the gap
        (chain(10, 8, 100, 100, 8), 112, 112),  # a gap is rounded up to the alignment
        (chain(None, 8, 101, 8), 104, 104),  # sizes are rounded up
        (chain(None, 8, 100, 8, scratch=20), 120, 120),  # scratch of either step
        (chain(None, 8, 8), 0, 0),  # nothing but the caller's buffers
    ],
)
def test_chains(made: Program, size: int, bound: int) -> None:
    found = plan(made)
    assert (found.size, found.lower_bound) == (size, bound)


# Bytes, gap and scratch of each layer of a MobileNet of 96 x 96 pixels: the peak is met early, so
# that most moves of a search change nothing at it.
MOBILENET = [
    (18432, 0, 9056), (18432, 0, 16384), (36864, 16960, 3392), (9216, 0, 5536),
    (18432, 6144, 6144), (18432, 0, 14080), (18432, 0, 12288), (4608, 0, 11904), (9216, 0, 9216),
    (9216, 0, 6976), (9216, 0, 18432), (2304, 0, 6096), (4608, 0, 4608),
    *[(4608, 0, 3856), (4608, 0, 9480)] * 5, (1152, 0, 3300), (2304, 0, 3584), (2304, 0, 2416),
    (2304, 0, 7168), (256, 0, 0), (2, None, 0), (2, 0, 0),
]  # fmt: skip


def test_a_peak_that_few_buffers_meet_is_brought_down() -> None:
    """Depthwise convolutions are in place exactly, or not at all."""
    names = ["x", *(f"t{i}" for i in range(len(MOBILENET)))]
    steps = [
        (out, (name,), gap, scratch)
        for (name, out), (_, gap, scratch) in zip(pairwise(names), MOBILENET, strict=True)
    ]
    sizes = dict(zip(names, (27648, *(size for size, _, _ in MOBILENET)), strict=True))
    made = program(sizes, steps, (names[-1],))
    exact = replace(
        made,
        steps=tuple(
            replace(step, variant=replace(step.variant, gap_exact=index % 2 == 1))
            for index, step in enumerate(made.steps)
        ),
    )
    found = plan(exact)
    assert found.size == found.lower_bound == 42400


def test_an_input_read_later_is_not_overwritten() -> None:
    made = program(
        {"x": 8, "a": 100, "b": 100, "c": 100, "y": 8},
        [("a", ("x",), 0, 0), ("b", ("a",), 0, 0), ("c", ("a", "b"), 0, 0), ("y", ("c",), 0, 0)],
        ("y",),
    )
    assert plan(made).size == 200


def test_an_output_that_is_read_again_stays_in_the_callers_buffer() -> None:
    made = program(
        {"x": 8, "a": 40, "b": 12},
        [("a", ("x",), 0, 0), ("b", ("a",), 0, 0)],
        ("a", "b"),
    )
    assert plan(made) == Plan({}, {}, 0, 0)


def test_an_exact_gap_allows_that_distance_only() -> None:
    out, source = Placed(Buffer("y", 8, 1, 2), 16), Buffer("x", 8, 0, 1)
    for gap, allowed in ((range(1), (16,)), (range(1 << 31), (16, 20))):
        found = [
            at for at in (12, 16, 20) if compatible(out, Placed(source, at), {("y", "x"): gap})
        ]
        assert found == list(allowed)


@pytest.mark.parametrize("seed", range(30))
def test_random_programs_never_overlap_wrongly(seed: int) -> None:
    chance = np.random.default_rng(seed)
    sizes, steps, live = {"x": 64}, [], ["x"]
    for i in range(int(chance.integers(2, 12))):
        ins = tuple(dict.fromkeys(str(n) for n in chance.choice(live, 2)))
        gap = [None, 0, int(chance.integers(0, 50))][int(chance.integers(3))]
        steps.append((f"t{i}", ins, gap, int(chance.integers(0, 2)) * 16))
        sizes[f"t{i}"] = int(chance.integers(1, 200))
        live.append(f"t{i}")
    made = program(sizes, steps, (live[-1],))
    found = plan(made)
    gaps = _gaps(made, _tensor_buffers(made))
    placed = [*found.tensors.values(), *found.scratch.values()]
    for i, a in enumerate(placed):
        assert a.offset >= 0
        assert a.end <= found.size
        for b in placed[i + 1 :]:
            assert not a.buffer.meets(b.buffer) or compatible(a, b, gaps)
    assert found.size >= found.lower_bound
    assert plan(made) == found
