"""Memory of whole networks: what the plan says is what the C uses, no byte more, no byte beside."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import c_programs
import onnx_models
import pytest
import random_networks
from small_networks import Net, images, residual_network

from mcuq.config import Config
from mcuq.flows.compile import compile_model
from mcuq.ir import Graph
from mcuq.model import vectors
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import Compiled, generate
from mcuq.program.plan import Placed
from mcuq.quantize import Options, quantize
from mcuq.reference import feeds_to_int, run_int
from mcuq.targets import boards

BOARDS = (None, "mps2_an385_m0", "mps2_an386", "mps3_an547")
SEEDS = (1, 2, 6, 7, 11, 14)
IMAGE = 8 * 8 * 3


def chain() -> Graph:
    """Six functions of one value and a view, one after the other; the image in, the image out."""
    net = Net((1, 8, 8, 3))
    value = "x"
    for op in ("sigmoid", "tanh", "hard_swish", "silu", "tanh", "sigmoid"):
        value = net.node(op, value)
    flat = net.node("reshape", value, shape=(1, IMAGE))
    return net.graph(net.node("tanh", flat))


def sums() -> Graph:
    """Two values of 8x8x3 live at once, each sum in place of its older operand."""
    net = Net((1, 8, 8, 3))
    clip = (float("-inf"), float("inf"))
    older, newer = net.node("sigmoid", "x"), net.node("tanh", "x")
    for _ in range(4):
        older, newer = newer, net.node("add", older, newer, clip=clip)
    return net.graph(net.node("mul", older, newer, clip=clip))


def views() -> Graph:
    """Nothing but views between two functions of one value."""
    net = Net((1, 8, 8, 3))
    value = net.node("sigmoid", "x")
    for shape in ((1, IMAGE), (1, 4, 16, 3), (1, 64, 3), (1, 2, 2, 48)):
        value = net.node("reshape", value, shape=shape)
    return net.graph(net.node("tanh", value))


def from_graph(graph: Graph) -> Compiled:
    feeds = {"x": images(16)}
    made = quantize(graph, feeds, Options(effort="fast"))
    bundle = Bundle(
        "small", "small.onnx", "0" * 64, None, "balanced", graph, made, feeds_to_int(made, feeds)
    )
    return generate(bundle, None)


@functools.cache
def random(seed: int) -> Compiled:
    proto = random_networks.model(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = onnx_models.save(proto, Path(folder))
        rows = random_networks.inputs(seed, proto)
        return compile_model(path, calibration=rows, config=Config(quantize={"effort": "fast"}))


@pytest.mark.parametrize(("graph", "arena"), [(chain, IMAGE), (sums, 2 * IMAGE), (views, IMAGE)])
def test_in_place_steps_and_views_take_no_memory(graph: Callable[[], Graph], arena: int) -> None:
    """One image lives in the arena (two where two values are needed); the caller has the others."""
    compiled = from_graph(graph())
    assert compiled.plan.size == compiled.plan.lower_bound == arena
    assert not any(step.node.op == "reshape" for step in compiled.program.steps)


@pytest.mark.slow
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("seed", SEEDS[:3])
def test_the_report_and_the_header_state_the_plan(seed: int, board: str | None) -> None:
    made = generate(random(seed).bundle, boards.load(board) if board else None)
    report, plan = made.report, made.plan
    assert report.arena == plan.size >= report.arena_lower_bound == plan.lower_bound
    assert f"#define NET_ARENA_LEN {max(1, plan.size)}\n" in made.files["net.h"]
    assert made.entry.arena == max(1, plan.size)
    ends = [placed.end for placed in (*plan.tensors.values(), *plan.scratch.values())]
    assert max(ends, default=0) == plan.size
    if board:
        assert report.boards[board].ram == plan.size


@pytest.mark.slow
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_only_a_steps_output_overlaps_and_only_its_dying_input(
    seed: int, board: str | None
) -> None:
    """Lives are worked out anew here, from the steps alone."""
    made = generate(random(seed).bundle, boards.load(board) if board else None)
    program, plan = made.program, made.plan
    reads = [program.reads(step) for step in program.steps]
    last = {name: index for index, names in enumerate(reads) for name in names}
    born = {step.node.output: index for index, step in enumerate(program.steps)}
    placed = list(plan.tensors.items())
    for one, here in placed:
        for other, there in placed:
            if one == other or born[one] < born[other] or not _overlap(here, there):
                continue
            dies = last.get(other, born[other])
            assert dies < born[one] or (dies == born[one] and other in reads[born[one]])
    for index, scratch in plan.scratch.items():
        live = [p for n, p in placed if born[n] <= index <= last.get(n, born[n])]
        assert not any(_overlap(scratch, p) for p in live)


def _overlap(a: Placed, b: Placed) -> bool:
    return a.offset < b.end and b.offset < a.end


@pytest.mark.slow
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", ["residual", *SEEDS[:4]])
def test_no_byte_outside_of_the_buffers_is_touched(
    name: str | int, board: str | None, tmp_path: Path
) -> None:
    """Guards around the arena and every buffer stay as they are, and so do the inputs."""
    base = random(name) if isinstance(name, int) else from_graph(residual_network())
    made = generate(base.bundle, boards.load(board) if board else None)
    folder = c_programs.write(made.files, tmp_path)
    (folder / "guarded.c").write_text(c_programs.guarded_main([made.entry]))
    files = [*c_programs.sources(made.files), "guarded.c"]
    c_programs.run(["gcc", "-O2", "-I.", *files, "-o", "guarded"], folder)
    rows = vectors.make(made.bundle, 8)
    given = b"".join(vectors.to_bytes(made.bundle, rows))
    graph = made.program.qgraph
    values = run_int(graph, rows)
    expected = b"".join(
        values[port.tensor][row].tobytes() for row in range(8) for port in graph.outputs
    )
    assert c_programs.run([folder / "guarded"], folder, given) == expected
