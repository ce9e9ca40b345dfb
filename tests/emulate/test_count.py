"""Instruction counts. The plugin is checked against QEMU's own -icount clock, once per timer."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_model import ENTRY, FILES, with_kernel

from mcuq.emulate import count
from mcuq.emulate.count import Profile
from mcuq.emulate.qemu import execute
from mcuq.errors import McuqError
from mcuq.firmware import image
from mcuq.firmware.image import Image
from mcuq.targets import boards
from mcuq.targets.cores import FlashReads

# Reads a timer before and after the call, and again around nothing, into counts.bin.
TIMED = """
#include "mcuq_model.h"
#include "mcuq_semihost.h"
#if defined(__riscv)
static void start(void) {}
static uint32_t now(void)
{
    uint32_t value;
    __asm__ volatile(".option arch, +zicsr\\n\\tcsrr %0, minstret" : "=r"(value));
    return value;
}
#elif defined(SYSTICK)
static void start(void)
{
    *(volatile uint32_t *)0xE000E014 = 0xFFFFFF;
    *(volatile uint32_t *)0xE000E018 = 0;
    *(volatile uint32_t *)0xE000E010 = 5;
}
static uint32_t now(void) { return 0xFFFFFF - *(volatile uint32_t *)0xE000E018; }
#else
static void start(void)
{
    *(volatile uint32_t *)0x40000008 = 0xFFFFFFFF;
    *(volatile uint32_t *)0x40000004 = 0xFFFFFFFF;
    *(volatile uint32_t *)0x40000000 = 1;
}
static uint32_t now(void) { return 0xFFFFFFFF - *(volatile uint32_t *)0x40000004; }
#endif
int main(void)
{
    start();
    uint32_t times[2];
    for (int runs = 0; runs < 2; runs++) {
        const uint32_t before = now();
        for (int i = 0; i < 1000; i++) {
            if (runs == 0) {
                MCUQ_MODEL_RUN();
            }
            __asm__ volatile("" ::: "memory");
        }
        times[runs] = now() - before;
    }
    const int32_t file = mcuq_semihost_open("counts.bin", MCUQ_SEMIHOST_WRITE);
    (void)mcuq_semihost_write(file, times, sizeof times);
    return mcuq_semihost_close(file);
}
"""


def _images(name: str, folder: Path) -> tuple[Image, Image]:
    board = boards.load(name)
    plain = image.compile_image(FILES, ENTRY, board, folder, "plain")
    return plain, image.compile_image(FILES, ENTRY, board, folder, "steps")


def test_steps_add_up_to_the_total() -> None:
    assert count.share([11, 84], 82) == (4, 78)
    assert count.share([], 0) == ()


@pytest.mark.emulated
def test_the_plugin_may_lie_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a,b%m"))
    plain, _ = _images("mps2_an386", tmp_path)
    assert count.count_total(plain) > 0


def test_a_relative_cache_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for given in ("cache", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert count.plugin().parent == tmp_path / ".cache" / "mcuq"
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", [b"", b"\x7fELF", None])
def test_a_damaged_plugin_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    good = count.plugin().read_bytes()
    written = count.plugin().stat().st_mtime_ns
    assert count.plugin().stat().st_mtime_ns == written
    if damage is None:
        count.plugin().with_suffix(".sha256").unlink()
    else:
        count.plugin().write_bytes(damage)
    assert count.plugin().read_bytes() == good


def test_a_cache_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(McuqError, match=r"file.*Set XDG_CACHE_HOME"):
        count.plugin()


@pytest.mark.emulated
@pytest.mark.parametrize("name", ["microbit", "mps2_an386", "mps3_an547", "sifive_e"])
def test_counts_are_exact_and_repeatable(name: str, tmp_path: Path) -> None:
    images = _images(name, tmp_path)
    counts = count.count(*images, bytes(range(8)))
    assert counts == count.count(*images, bytes(range(8)))
    assert counts.total == count.count_total(images[0], bytes(range(8)))
    assert counts.total == counts.profile.total == sum(counts.steps)
    assert len(counts.steps) == len(counts.step_profiles) == 2


@pytest.mark.emulated
def test_a_loop_is_counted_per_address(tmp_path: Path) -> None:
    """The kernel's loop runs 7 times after the peeled first one, and jumps back 6 times."""
    profile = count.count(*_images("mps2_an386", tmp_path)).profile
    assert sorted(set(profile.executed.values())) == [1, 7]
    assert 6 in profile.taken.values()


LOADS = """\
    static const int32_t words[64] = {{1, 2, 3}};
    int32_t sum = 0;
    for (int round = 0; round < {rounds}; round++) {{
        for (int i = 0; i < 64; i++) {{
            sum += ((volatile const int32_t *)words)[i];
        }}
    }}
    out[0] = (int8_t)(sum + in[0] + length);
"""


@pytest.mark.emulated
def test_the_caches_of_flash_are_simulated(tmp_path: Path) -> None:
    """256 bytes of constants are 16 lines of 16 bytes: read once where the cache holds them all."""
    found = {}
    for rounds in (1, 5):
        body = with_kernel(LOADS.format(rounds=rounds), "")
        folder = tmp_path / str(rounds)
        plain, steps = (
            image.compile_image(body, ENTRY, boards.load("mps2_an386"), folder, kind)
            for kind in ("plain", "steps")
        )
        for lines in (8, 32):
            reads = FlashReads(5, 16, code_lines=64, data_lines=lines)
            counts = count.count(plain, steps, reads=reads)
            assert counts == count.count(plain, steps, reads=reads)
            found[rounds, lines] = counts.profile.misses
            assert counts.step_profiles[1].misses is not None
    small, large, small_5, large_5 = (found[key] for key in ((1, 8), (1, 32), (5, 8), (5, 32)))
    assert small.data in range(16, 24)
    assert small_5.data - small.data in range(4 * 15, 4 * 17 + 1)
    assert large_5.data == large.data
    # The whole loop fits the cache of instructions.
    assert small_5.jumps + small_5.following - small.jumps - small.following in range(3)
    assert count.count(plain, steps).profile.misses is None


@pytest.mark.emulated
@pytest.mark.parametrize(
    ("name", "define", "ticks"),
    [
        ("mps2_an385", "", 1.6),  # CMSDK timer, 25 MHz: 64 ns an instruction, 40 ns a tick
        ("mps2_an386", "", 1.6),
        ("mps2_an500", "", 1.6),
        ("mps3_an547", "#define SYSTICK\n", 2.048),  # SysTick, 32 MHz
        ("riscv32_virt", "", 64.0),  # minstret: QEMU 7.2 gives virtual nanoseconds
    ],
)
def test_the_timers_of_icount_agree(name: str, define: str, ticks: float, tmp_path: Path) -> None:
    """1000 runs differ from 1000 times the count only by the calls: 4 to 8 instructions each."""
    plain, _ = _images(name, tmp_path)
    extra = {"main.c": define + TIMED}
    timed = image.compile_image(FILES, ENTRY, plain.board, tmp_path, "custom", extra=extra)
    execute(timed, tmp_path)
    words = (tmp_path / "counts.bin").read_bytes()
    with_model, without = (int.from_bytes(words[i : i + 4], "little") for i in (0, 4))
    each = (with_model - without) / ticks / 1000
    assert 3 <= each - count.count_total(plain) <= 9


def test_the_plugins_text_is_read_and_the_harness_left_out() -> None:
    text = "step\nmisses 3 2 1\n40 2 0\n44 2 1\n100 5 5\nstep\n48 1 1\n"
    assert count._parse(text, [range(0x100, 0x110)]) == [
        Profile({0x40: 2, 0x44: 2}, {0x44: 1}, count.Misses(3, 2, 1)),
        Profile({0x48: 1}, {0x48: 1}),
    ]


@pytest.mark.emulated
def test_the_plugin_is_built_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = count.plugin()
    stamp = first.stat().st_mtime_ns
    assert count.plugin().stat().st_mtime_ns == stamp
    assert sorted(first.parent.iterdir()) == [first.with_suffix(".sha256"), first]
