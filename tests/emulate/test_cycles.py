"""Hand-made sequences, one instruction a line, with the cycles that the manuals' tables give."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_model import ENTRY, FILES

from mcuq.emulate import count
from mcuq.emulate.count import Profile
from mcuq.emulate.cycles import cycles, estimate
from mcuq.firmware import image as build
from mcuq.firmware.listing import parse
from mcuq.targets import boards
from mcuq.targets.cores import CORES, M0_SMALL_MULTIPLIER, CycleRules

RULES = {name: core.cycles for name, core in CORES.items() if core.cycles}


def _cycles(text: str, cpu: str | CycleRules, jumps: bool = False) -> int:
    """Each instruction executed once; the last one jumps if ``jumps``."""
    rules = cpu if isinstance(cpu, CycleRules) else RULES[cpu]
    rows = (f"  {i * 2 + 64:x}:\tbf00 \t{line}" for i, line in enumerate(text.split("; ")))
    instructions = parse("\n".join(r.replace(" ", "\t", 0) for r in rows)).instructions
    executed = {i.address: 1 for i in instructions}
    taken = {instructions[-1].address: 1} if jumps else {}
    return cycles(Profile(executed, taken), instructions, rules)


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
    assert _cycles(text, M0_SMALL_MULTIPLIER, jumps=True) == 38


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
