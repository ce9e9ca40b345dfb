"""The planner on hand-made programs: lives, in-place steps, gaps, scratch, and random checks."""

from __future__ import annotations

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
