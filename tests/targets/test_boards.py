"""Board files, startup, semihosting and the linker script."""

import subprocess
import time
from pathlib import Path

import jinja2
import pytest

from mcuq.errors import BoardError
from mcuq.files import assets
from mcuq.targets import board_file, boards
from mcuq.targets.boards import Board, Region
from mcuq.targets.cores import FlashReads

GOOD = """
name = "mine"
title = "Mine"
cpu = "cortex-m4"
clock_hz = 100_000_000
flags = ["-mcpu=cortex-m4", "-mthumb"]
features = ["dsp"]
toolchain = "arm-none-eabi"
[memory]
flash = { origin = 0x08000000, length = 0x80000 }
ram = { origin = 0x20000000, length = 0x20000 }
[emulate]
board = "mps2_an386"
"""

OWN_MACHINES = tuple(b.name for b in boards.all_boards() if b.emulate_command)

HELLO = """
#include "mcuq_semihost.h"
#include "mcuq_startup.h"
static volatile int data = 35;
static volatile int zero;
volatile uint32_t mcuq_verdict __attribute__((section(".noinit")));
int main(void)
{
    char line[32];
    int32_t length = mcuq_semihost_command_line(line, sizeof line);
    const uint32_t used = mcuq_stack_used();
    mcuq_verdict = 0x600D;
    mcuq_semihost_write0(length > 0 ? line : "nothing");
    return (used > 32 && used < 1024 && mcuq_semihost_present) ? data + zero + length : 1;
}
"""

FAULT = """
int main(void)
{
    __asm__ volatile(".short 0\\n\\t.short 0xde00"); /* undefined on Arm and on RISC-V */
    return 0;
}
"""

COPY = """
#include "mcuq_semihost.h"
int main(void)
{
    static char data[100];
    const int32_t from = mcuq_semihost_open("in.bin", MCUQ_SEMIHOST_READ);
    const int32_t to = mcuq_semihost_open("out.bin", MCUQ_SEMIHOST_WRITE);
    const uint32_t bytes = mcuq_semihost_read(from, data, sizeof data);
    const uint32_t written = mcuq_semihost_write(to, data, bytes);
    const int32_t missing = mcuq_semihost_open("missing.bin", MCUQ_SEMIHOST_READ);
    const int32_t closed = mcuq_semihost_close(from) | mcuq_semihost_close(to);
    return (written == bytes && missing == -1 && closed == 0) ? (int)bytes : 1;
}
"""


def write(folder: Path, text: str, name: str = "mine") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def build(folder: Path, board: Board, source: str, memory: Board | None = None) -> Path:
    """An ELF of ``source`` with the startup files, linked for the memory of ``memory``."""
    memory = memory or boards.machine(board)
    loader = jinja2.FileSystemLoader(assets.templates())
    template = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined)
    script = template.get_template("linker.ld.j2").render(
        board=memory.name,
        flash=memory.flash,
        ram=memory.ram,
        vectors=memory.vectors,
        stack=memory.stack,
    )
    (folder / "link.ld").write_text(script)
    (folder / "main.c").write_text(source)
    specs = "picolibc.specs" if board.toolchain.startswith("riscv") else "nano.specs"
    strict = "-std=c99 -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Werror".split()
    image = folder / "image.elf"
    command = [f"{board.toolchain}-gcc", *board.flags, f"--specs={specs}", "-O2", *strict]
    command += ["-I", str(assets.runtime_c() / "startup"), "-nostartfiles", "-Wl,--fatal-warnings"]
    command += [str(path) for path in boards.startup_sources(board)]
    command += [str(folder / "main.c"), "-T", str(folder / "link.ld"), "-o", str(image)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return image


def qemu(board: Board, image: Path, *more: str) -> list[str]:
    command = list(boards.machine(board).emulate_command)
    return [*command, "-display", "none", "-serial", "none", "-kernel", str(image), *more]


def run(board: Board, image: Path, arguments: str = "") -> subprocess.CompletedProcess[str]:
    more = f"enable=on,target=native{arguments}"
    command = qemu(board, image, "-monitor", "none", "-semihosting-config", more)
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, cwd=image.parent
    )


@pytest.mark.parametrize("name", boards.names())
def test_every_shipped_board_loads_and_cites_its_sizes(name: str) -> None:
    board = boards.load(name)
    assert board.name == name
    assert len(board.source) > 40
    assert boards.machine(board).emulate_command
    assert all(path.is_file() for path in boards.startup_sources(board))


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("mps2_an385_m0", set()),
        ("mps2_an385", {"thumb2", "mul_long", "div"}),
        ("nucleo_f446re", {"thumb2", "mul_long", "div", "dsp"}),
        ("mps3_an547", {"thumb2", "mul_long", "div", "dsp", "mve"}),
        ("esp32_c3", {"riscv", "mul_long", "div"}),
    ],
)
def test_the_core_as_kernels_see_it(name: str, features: set[str]) -> None:
    board = boards.load(name)
    assert boards.cpu(board).name == board.cpu
    assert boards.cpu(board).features == features


def test_a_user_file_loads_by_path(tmp_path: Path) -> None:
    board = boards.load(write(tmp_path, GOOD))
    assert (board.flash, board.ram) == (Region(0x08000000, 0x80000), Region(0x20000000, 0x20000))
    assert (board.stack, board.source, board.vectors) == (boards.DEFAULT_STACK, "", None)
    assert boards.machine(board).name == "mps2_an386"


def test_a_small_multiplier_is_said_in_the_file(tmp_path: Path) -> None:
    text = GOOD.replace("cortex-m4", "cortex-m0").replace('["dsp"]', "[]")
    text = text.replace('"mps2_an386"', '"mps2_an385"')
    small = boards.load(write(tmp_path, text.replace("[memory]", "multiply_cycles = 32\n[memory]")))
    assert (small.multiply_cycles, boards.cpu(small).multiply_cycles) == (32, 32)
    assert boards.load(write(tmp_path, text)).multiply_cycles == 1
    with pytest.raises(BoardError, match="multiply_cycles is 8; on cortex-m0 it is 1 or 32"):
        boards.load(write(tmp_path, text.replace("[memory]", "multiply_cycles = 8\n[memory]")))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("clock_hz", "clock_khz", "unknown key 'clock_khz'. Did you mean 'clock_hz'"),
        ('title = "Mine"', "", "key 'title' is missing"),
        ('title = "Mine"', "title = 3", "'title' must be a text that is not empty"),
        ('"cortex-m4"\nclock', '"cortex-m44"\nclock', "cpu 'cortex-m44' is unknown. Did you mean"),
        ("100_000_000", "true", "'clock_hz' must be an integer"),
        ("100_000_000", "0", "'clock_hz' is 0, not in 1000..10000000000"),
        ('["dsp"]', '"dsp"', "'features' must be a list of texts"),
        ('["dsp"]', '["mve"]', "feature 'mve' is not one of cortex-m4's: dsp"),
        ('"-mthumb"]', '"mthumb"]', "flag 'mthumb' does not start with -"),
        ("-mcpu=cortex-m4", "-mcpu=cortex-m7", "flags do not hold -mcpu=cortex-m4"),
        ('"arm-none-eabi"', '"gcc"', "toolchain 'gcc' is unknown. Known: arm-none-eabi, riscv64"),
        ('"arm-none-eabi"', '"riscv64-unknown-elf"', "toolchain of cortex-m4 is arm-none-eabi"),
        ("0x20000000,", "0x08010000,", "memory.flash and memory.ram overlap"),
        ("length = 0x20000 ", "length = 0 ", "'length' is 0, not in 1.."),
        ("length = 0x20000 ", "length = 0xF0000000 ", "'length' is 4026531840, not in 1.."),
        ("length = 0x20000 ", "length = 30 ", "multiples of 4"),
        ("length = 0x20000 ", "size = 3 ", "unknown key 'memory.ram.size'"),
        ("[memory]", "stack = 100\n[memory]", "'stack' is 100, not in 256..131072"),
        ("[memory]", "stack = 1001\n[memory]", "'stack' is 1001, not a multiple of 8"),
        (
            "[memory]",
            "multiply_cycles = 32\n[memory]",
            "multiply_cycles is 32; on cortex-m4 it is 1",
        ),
        ("[memory]", "multiply_cycles = 0\n[memory]", "'multiply_cycles' is 0, not in 1..32"),
        ("[memory]", "memory = 4\n[other]", "unknown key 'other'"),
        ('"mps2_an386"', '"mps2_an368"', "emulate.board 'mps2_an368' is unknown. Did you mean"),
        ('"mps2_an386"', '"nucleo_f446re"', "'nucleo_f446re' has no QEMU command of its own"),
        ('"mps2_an386"', '"mps2_an500"', "its core cortex-m4 is not that of emulate.board"),
        ('board = "mps2_an386"', 'command = ["rm"]', "must start with qemu-system-arm"),
        ("[emulate]", '[emulate]\ncommand = ["qemu-system-arm"]', "both a board and a command"),
        ('name = "mine"', 'name = "other"', "name 'other' is not the file's, 'mine'"),
        ('name = "mine"', 'name = "My Board"', "must be lower-case letters, digits and _"),
        ("[memory]", "[memory", "cannot be read"),
        ('title = "Mine"\ncpu = "cortex-m4"\n', "", "keys 'title', 'cpu' are missing"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(BoardError) as caught:
        boards.load(path)
    text = str(caught.value)
    assert sentence in text
    assert text.startswith(str(path))
    assert "\n" not in text


def test_an_unknown_name_gets_the_closest() -> None:
    with pytest.raises(BoardError, match=r"nucleo_f44: no such board\. Did you mean 'nucleo_f4"):
        boards.load("nucleo_f44")


def test_a_missing_file() -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.toml"):  # one line in ``main``
        boards.load("nowhere.toml")


def test_a_board_without_a_machine_cannot_run(tmp_path: Path) -> None:
    board = boards.load(write(tmp_path, GOOD.partition("[emulate]")[0]))
    with pytest.raises(BoardError, match="it has no emulated machine"):
        boards.machine(board)


@pytest.mark.emulated
@pytest.mark.parametrize("name", [*OWN_MACHINES, "mps2_an385_m0", "mps2_an385_m0plus"])
def test_hello_boots_and_passes_its_exit_code(tmp_path: Path, name: str) -> None:
    board = boards.load(name)
    done = run(board, build(tmp_path, board, HELLO), ",arg=image,arg=x")
    assert (done.stderr[-7:], done.returncode) == ("image x", 42)


@pytest.mark.emulated
@pytest.mark.parametrize("name", ["mps2_an385_m0", "mps3_an547", "riscv32_virt"])
def test_files_travel_through_semihosting(tmp_path: Path, name: str) -> None:
    board = boards.load(name)
    image = build(tmp_path, board, COPY)
    (tmp_path / "in.bin").write_bytes(bytes(range(77)))
    assert run(board, image).returncode == 77
    assert (tmp_path / "out.bin").read_bytes() == bytes(range(77))


@pytest.mark.emulated
@pytest.mark.parametrize("name", ["mps2_an385_m0", "mps2_an386", "mps3_an547", "riscv32_virt"])
def test_a_fault_ends_the_run(tmp_path: Path, name: str) -> None:
    board = boards.load(name)
    done = run(board, build(tmp_path, board, FAULT))
    assert done.returncode == 125
    assert "fault at 0x" in done.stderr


@pytest.mark.emulated
@pytest.mark.parametrize(
    "name", ["mps2_an385_m0", "microbit", "mps2_an386", "mps2_an505", "mps3_an547", "riscv32_virt"]
)
def test_without_a_debugger_the_image_runs_on(tmp_path: Path, name: str) -> None:
    board = boards.load(name)
    image = build(tmp_path, board, HELLO)
    symbols = subprocess.run(
        [f"{board.toolchain}-nm", str(image)], capture_output=True, text=True, check=True
    ).stdout
    address = next(line.split()[0] for line in symbols.splitlines() if "mcuq_verdict" in line)
    with subprocess.Popen(
        qemu(board, image, "-monitor", "stdio"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as emulator:
        time.sleep(0.5)
        text, _ = emulator.communicate(f"xp /1wx 0x{address}\nquit\n", timeout=30)
    assert "0x0000600d" in text


@pytest.mark.emulated
@pytest.mark.parametrize("name", boards.names())
def test_every_board_links_for_its_own_memory(tmp_path: Path, name: str) -> None:
    board = boards.load(name)
    assert build(tmp_path, board, HELLO, memory=board).is_file()


READS = """
[flash_reads]
wait_states = 5
line = 16
code_lines = 64
data_lines = 8
prefetch = true
"""


def test_a_board_says_how_its_flash_is_read() -> None:
    board = boards.parse((GOOD + READS).encode(), "mine.toml", "mine")
    assert board.reads == FlashReads(5, 16, 64, 8, True)
    assert boards.from_table(boards.to_table(board), "bundle") == board
    copied = board_file.copied(boards.load("nucleo_f446re"), "mine")
    again = boards.parse(copied.encode(), "mine.toml", "mine")
    assert again.reads == boards.load("nucleo_f446re").reads
    assert boards.of_core("cortex-m4").reads is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("line = 16", "line = 12", "flash_reads.line is 12, not a power of two"),
        ("line = 16", "lines = 16", "unknown key 'flash_reads.lines'"),
        ("line = 16", "", "'flash_reads.line' is missing"),
        ("wait_states = 5", "wait_states = -1", "'wait_states' is -1, not in 0..255"),
        ("code_lines = 64", "code_lines = 5000", "'code_lines' is 5000"),
        ("prefetch = true", "prefetch = 1", "'prefetch' must be true or false"),
    ],
)
def test_odd_reads_of_flash_are_refused(old: str, new: str, words: str) -> None:
    with pytest.raises(BoardError) as caught:
        boards.parse((GOOD + READS.replace(old, new)).encode(), "mine.toml", "mine")
    assert words in str(caught.value)
