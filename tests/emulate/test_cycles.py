"""Hand-made sequences, one instruction a line, with the cycles that the manuals' tables give."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_models
import pytest
from coded_layers import network
from tiny_model import ENTRY, FILES

from mcuq.config import Config
from mcuq.emulate import count
from mcuq.emulate.count import Misses, Profile
from mcuq.emulate.cycles import cycles, estimate, stalls
from mcuq.firmware import image as build
from mcuq.firmware.listing import parse
from mcuq.flows.compile import compile_model
from mcuq.measure import bench
from mcuq.model.compiled import Compiled
from mcuq.program.lower import lower
from mcuq.targets import boards
from mcuq.targets.cores import CORES, Cpu, CycleRules, FlashReads

RULES = {name: core.cycles for name, core in CORES.items() if core.cycles}


def _cycles(text: str, cpu: str | CycleRules, jumps: bool = False) -> int:
    """Each instruction executed once; the last one jumps if ``jumps``."""
    known = cpu if isinstance(cpu, CycleRules) else RULES[cpu]
    rows = (f"  {i * 2 + 64:x}:\tbf00 \t{line}" for i, line in enumerate(text.split("; ")))
    instructions = parse("\n".join(r.replace(" ", "\t", 0) for r in rows)).instructions
    executed = {i.address: 1 for i in instructions}
    taken = {instructions[-1].address: 1} if jumps else {}
    return cycles(Profile(executed, taken), instructions, known)


@pytest.mark.parametrize(
    ("text", "m0", "m0plus", "m3", "m4"),
    [
        ("adds\tr0, r1, r2", 1, 1, 1, 1),
        ("muls\tr0, r1", 1, 1, 1, 1),
        ("ldr\tr0, [r1, #4]", 2, 2, 2, 2),
        ("ldrsb.w\tr0, [r1, r2]", 2, 2, 2, 2),
        ("ldr\tr0, [r1, #4]; ldr\tr2, [r1, #8]", 4, 4, 3, 3),
        ("ldr\tr0, [r1, #4]; ldr\tr2, [r0, #8]", 4, 4, 4, 4),
        ("ldr\tr0, [r1, #4]; str\tr0, [r2, #8]", 4, 4, 3, 3),
        ("ldr\tr0, [r1, #4]; str\tr0, [r2, r3]", 4, 4, 3, 3),
        ("adds\tr1, #4; ldr\tr0, [r1, #0]", 3, 3, 4, 4),
        ("cmp\tr1, #4; ldr\tr0, [r1, #0]", 3, 3, 3, 3),
        ("str\tr0, [r1, #4]", 2, 2, 1, 1),
        ("push\t{r4, r5, r6, lr}", 5, 5, 5, 5),
        ("ldmia.w\tr1!, {r2-r5}", 5, 5, 5, 5),
        ("ldrd\tr0, r1, [r2]", 3, 3, 3, 3),
        ("bne.n\t40 <x>", 1, 1, 1, 1),
        ("mla\tr0, r1, r2, r3", 1, 1, 2, 1),
        ("smull\tr0, r1, r2, r3", 1, 1, 5, 1),
        ("smlad\tr0, r1, r2, r3", 1, 1, 1, 1),
        ("sdiv\tr0, r1, r2", 1, 1, 12, 12),
    ],
)
def test_straight_code(text: str, m0: int, m0plus: int, m3: int, m4: int) -> None:
    expected = {"cortex-m0": m0, "cortex-m0plus": m0plus, "cortex-m3": m3, "cortex-m4": m4}
    assert {cpu: _cycles(text, cpu) for cpu in RULES} == expected


@pytest.mark.parametrize(
    ("text", "m0", "m0plus", "m3"),
    [
        ("bne.n\t40 <x>", 3, 2, 3),
        ("b.n\t40 <x>", 3, 2, 3),
        ("bl\t100 <f>", 4, 3, 3),
        ("blx\tr3", 3, 2, 3),
        ("bx\tlr", 3, 2, 3),
        ("cbz\tr0, 40 <x>", 3, 2, 3),
        ("pop\t{r4, r5, pc}", 7, 6, 6),
        ("mov\tpc, r3", 3, 2, 3),
        ("tbb\t[pc, r3]", 4, 3, 4),
    ],
)
def test_jumps(text: str, m0: int, m0plus: int, m3: int) -> None:
    expected = {"cortex-m0": m0, "cortex-m0plus": m0plus, "cortex-m3": m3, "cortex-m4": m3}
    assert {cpu: _cycles(text, cpu, jumps=True) for cpu in RULES} == expected


def test_what_cannot_jump_was_the_end_of_a_page() -> None:
    """QEMU's next block starts with the instruction across the page: no jump, though so counted."""
    assert _cycles("ldr\tr7, [r5, #28]", "cortex-m3", jumps=True) == 2
    assert _cycles("ldr\tr7, [pc, #28]", "cortex-m3", jumps=True) == 2
    assert _cycles("ldr\tpc, [r5, #28]", "cortex-m3", jumps=True) == 4


def test_only_products_tell_a_small_multiplier() -> None:
    text = "ldrb\tr0, [r1, #4]; muls\tr0, r2; adds\tr3, r3, r0; bne.n\t40 <x>"
    assert _cycles(text, "cortex-m0", jumps=True) == 7
    small, smaller = (CORES[name].rules(32) for name in ("cortex-m0", "cortex-m0plus"))
    assert small is not None
    assert smaller is not None
    assert _cycles(text, small, jumps=True) == 38
    assert _cycles(text, smaller, jumps=True) == 37
    assert CORES["cortex-m0"].rules() is RULES["cortex-m0"]
    assert CORES["cortex-m55"].rules(1) is None


def test_a_loop_counts_its_last_branch_as_not_taken() -> None:
    """10 passes of ldr (2), adds (1), bne: 9 taken at 3, 1 not taken at 1."""
    text = "  40:\t6808\tldr\tr0, [r1, #0]\n  42:\t3101\tadds\tr2, #1\n  44:\td1fc\tbne.n\t40 <x>"
    profile = Profile({0x40: 10, 0x42: 10, 0x44: 10}, {0x44: 9})
    assert cycles(profile, parse(text).instructions, RULES["cortex-m4"]) == 10 * 3 + 9 * 3 + 1


@pytest.mark.emulated
def test_an_image_takes_more_cycles_than_instructions(tmp_path: Path) -> None:
    image = build.compile_image(FILES, ENTRY, boards.load("mps2_an386"), tmp_path, "plain")
    steps = build.compile_image(FILES, ENTRY, boards.load("mps2_an386"), tmp_path, "steps")
    counts = count.count(image, steps)
    estimated = estimate(counts.profile, image.elf, "cortex-m4")
    assert estimated is not None
    assert counts.total < estimated < 3 * counts.total
    assert estimate(counts.profile, image.elf, "cortex-m55") is None


@pytest.mark.parametrize(
    ("reads", "waited"),
    [
        (FlashReads(0, 8), 0),
        (FlashReads(5, 8), 5 * (100 + 10 + 7)),
        (FlashReads(5, 16, prefetch=True), 5 * (10 + 7)),  # 6.4 cycles of code a line, 6 a read
        (FlashReads(5, 8, prefetch=True), 5 * (10 + 7) + 280),  # 3.2 of 6
    ],
)
def test_waiting_for_flash(reads: FlashReads, waited: int) -> None:
    assert stalls(Misses(following=100, jumps=10, data=7), reads) == waited


def layers(prefer: str, board: boards.Board) -> Compiled:
    """A convolution, a depthwise one and a dense layer."""
    nodes = [
        onnx_models.node("Conv", "x w", "a", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        onnx_models.node("Conv", "a d", "b", kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=8),
        onnx_models.node("Flatten", "b", "f"),
        onnx_models.node("MatMul", "f m", "y"),
    ]
    weights = {
        "w": onnx_models.random(8, 4, 3, 3),
        "d": onnx_models.random(8, 1, 3, 3),
        "m": onnx_models.random(8 * 6 * 5, 10),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = onnx_models.save(onnx_models.model(nodes, weights), Path(folder), "net.onnx")
        rows = onnx_models.random(16, 4, 6, 5)
        fast = Config(quantize={"effort": "fast"})
        return compile_model(path, calibration=rows, board=board, prefer=prefer, config=fast)


@pytest.mark.emulated
@pytest.mark.parametrize("prefer", ["speed", "size"])
def test_the_small_multiplier_is_counted(prefer: str) -> None:
    """31 cycles more for each product that is executed, of which kernels know their number."""
    small = replace(boards.load("mps2_an385_m0"), multiply_cycles=32)
    made = layers(prefer, small)
    slow = bench.bench(made, small)
    fast = bench.bench(made, replace(small, multiply_cycles=1))
    for step, one, two in zip(made.program.steps, fast.steps, slow.steps, strict=True):
        assert one.cycles_estimate is not None
        assert two.cycles_estimate is not None
        executed = (two.cycles_estimate - one.cycles_estimate) / 31
        assumed = step.variant.multiplies(step.node, made.program.qgraph, step.macs)
        assert executed == pytest.approx(assumed, rel=0.3)


def test_kernels_are_chosen_for_the_multiplier() -> None:
    """By two products at once, or by sums that leave out most of them."""
    found = {}
    for cycles_of_one in (1, 32):
        core = Cpu("cortex-m0", frozenset(), cycles_of_one)
        _, qgraph, _ = network(np.random.default_rng(0), "dense", (1, 128), (128, 128), "powers")
        (step,) = lower(qgraph, core, "speed").steps
        found[cycles_of_one] = step
    assert found[1].variant.symbol == "mcuq_dense_s8_coded4_pairs"
    assert found[32].variant.symbol == "mcuq_dense_s8_coded4_sums"
    assert found[32].choices[0].cycles > found[1].choices[0].cycles


def pointwise(prefer: str, reads: FlashReads | None) -> Compiled:
    """Two convolutions of 64 inputs, on a board whose flash is read so."""
    board = replace(boards.load("nucleo_l4r5zi"), reads=reads)
    nodes = [
        onnx_models.node("Conv", "x a", "h", kernel_shape=[1, 1]),
        onnx_models.node("Relu", "h", "r"),
        onnx_models.node("Conv", "r b", "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    ]
    weights = {"a": onnx_models.random(64, 64, 1, 1), "b": onnx_models.random(32, 64, 3, 3)}
    with tempfile.TemporaryDirectory() as folder:
        network = onnx_models.model(nodes, weights, {"x": (1, 64, 12, 12)})
        path = onnx_models.save(network, Path(folder), "net.onnx")
        rows = onnx_models.random(4, 64, 12, 12)
        fast = Config(quantize={"effort": "fast"})
        return compile_model(path, calibration=rows, board=board, prefer=prefer, config=fast)


WAITING = FlashReads(5, 8, code_lines=128, data_lines=32, prefetch=True)


@pytest.mark.emulated
@pytest.mark.parametrize("prefer", ["balanced", "speed"])
def test_what_flash_costs_is_known_before_it_is_measured(prefer: str) -> None:
    made = pointwise(prefer, WAITING)
    found = bench.bench(made, replace(boards.load("nucleo_l4r5zi"), reads=WAITING))
    for step in found.steps:
        assert step.cycles_estimate is not None
        assert step.stalls is not None
        measured = step.cycles_estimate + step.stalls
        assert step.choices[0].cycles == pytest.approx(measured, rel=0.08), step.kernel


def test_kernels_are_chosen_for_the_flash() -> None:
    """Steps of their own for each product are code that no small cache holds."""
    kernels = {
        reads: [step.variant.symbol for step in pointwise("speed", reads).program.steps]
        for reads in (None, WAITING)
    }
    assert kernels[None][0] == "mcuq_conv2d_s8_dsp_strassen"
    assert kernels[WAITING][0] != kernels[None][0]
