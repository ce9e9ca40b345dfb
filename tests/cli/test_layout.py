"""At 80 columns no cell is wrapped and no number is cut; what gives way is said."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import numpy as np
import onnx_models
import pytest

from mcuq.cli.layout import arrange
from mcuq.config import Config
from mcuq.flows.compile import compile_model

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits.onnx"
FRAMED = ("┃", "│")


def shown(*arguments: object, columns: int, cwd: Path) -> list[str]:
    """The lines that a terminal of so many columns shows of a command's standard output."""
    main, end = pty.openpty()
    ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    unset = ("COLUMNS", "NO_COLOR", "FORCE_COLOR")
    plain = {key: value for key, value in os.environ.items() if key not in unset}
    running = subprocess.Popen(
        [sys.executable, "-m", "mcuq", *map(str, arguments)],
        cwd=cwd,
        stdout=end,
        stderr=subprocess.DEVNULL,
        env={**plain, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
    )
    os.close(end)
    found = b""
    while part := _read(main):
        found += part
    os.close(main)
    running.wait()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", found.decode()).splitlines()


def _read(terminal: int) -> bytes:
    """What comes next; nothing once the command has closed its end, which Linux calls an error."""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("layout")
    rows = np.random.default_rng(3).uniform(0, 1, (40, 1, 8, 8)).astype(np.float32)
    for name, prefer in (("new", "balanced"), ("old", "size")):
        fast = Config(quantize={"effort": "fast"})
        made = compile_model(
            DIGITS, calibration=rows, board="nucleo_f446re", prefer=prefer, config=fast
        )
        made.write(place / name)
    np.savez(place / "data.npz", x=rows, y=np.arange(40) % 10)
    return place


COMMANDS = {
    "boards": ("boards",),
    "board": ("boards", "nucleo_f446re"),
    "ops": ("ops",),
    "doctor": ("doctor",),
    "inspect": ("inspect", DIGITS),
    "estimate": ("estimate", DIGITS, "--all"),
    "eval": ("eval", "new", "--data", "data.npz"),
    "explain": ("explain", "new"),
    "diff": ("diff", "old", "new"),
    "verify": ("verify", "new", "--min-sqnr", "1"),
    "compress": ("compress", DIGITS, "--calib", "data.npz", "--compress", "structured:0.5", "-o",
                 "small.onnx"),
}  # fmt: skip
EMULATED = {
    "check": ("check", "new", "--board", "mps2_an386", "--vectors", "1"),
    "bench": ("bench", "new", "--why"),
}


def check_tables(lines: list[str], columns: int) -> None:
    """Every row of every table is one line, for its first cell is never empty, and none too wide.

    A heading may take several lines. No number is cut.
    """
    framed = [line for line in lines if line.startswith(FRAMED)]
    assert framed
    assert max(map(len, framed)) <= columns
    rows = [line.strip("│").split("│") for line in framed if line.startswith("│")]
    assert all(row[0].strip() for row in rows), rows
    numbers = re.compile(r"[-+\d,.]*…[-+\d,.]*( %)?")
    assert not [text for row in rows for text in row if numbers.fullmatch(text.strip())]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_cell_is_wrapped_at_80_columns(name: str, folder: Path) -> None:
    check_tables(shown(*COMMANDS[name], columns=80, cwd=folder), 80)


@pytest.mark.emulated
@pytest.mark.parametrize("name", EMULATED)
def test_no_measured_cell_is_wrapped_at_80_columns(name: str, folder: Path) -> None:
    check_tables(shown(*EMULATED[name], columns=80, cwd=folder), 80)


TOLD = {
    "compile": (("compile", DIGITS, "--calib", "data.npz", "--effort", "fast", "--board",
                 "nucleo_f446re", "-o", "told"), "told: fits nucleo_f446re"),
    "retarget": (("retarget", "new", "--board", "cortex-m0", "-o", "m0"), "m0: kernels for"),
    "export": (("export", "new", "--to", "arduino", "-o", "digits.zip"), "digits.zip: library"),
    "sbom": (("sbom", "new", "-o", "sbom.json"), "sbom.json written"),
    "report": (("report", "new", "-o", "report.html"), "report.html written"),
    "new board": (("boards", "--new", "mine", "--from", "nucleo_f446re"), "mine.toml written"),
}  # fmt: skip
TOLD_OF_EMULATION = {
    "build": (("build", "new", "--board", "nucleo_f446re", "-o", "image"), "digits-selftest.elf"),
    "run": (("run", "new", "--input", "data.npz", "-o", "y.npy"), "y.npy: 40 rows"),
}


def check_told(arguments: tuple[object, ...], told: str, cwd: Path) -> None:
    """Lines of text are no wider than the terminal, and what they begin with is whole."""
    lines = shown(*arguments, columns=80, cwd=cwd)
    assert max(map(len, lines)) <= 80
    assert told in " ".join(lines)


@pytest.mark.parametrize("name", TOLD)
def test_what_is_told_fits_80_columns(name: str, folder: Path) -> None:
    check_told(*TOLD[name], folder)


@pytest.mark.emulated
@pytest.mark.parametrize("name", TOLD_OF_EMULATION)
def test_what_emulation_tells_fits_80_columns(name: str, folder: Path) -> None:
    check_told(*TOLD_OF_EMULATION[name], folder)


def test_commands_to_install_what_is_missing_stand_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = shown("doctor", columns=80, cwd=tmp_path)
    assert lines[-1] == "everything is installed"
    assert not [line for line in lines if "apt-get" in line]
    monkeypatch.setenv("PATH", str(tmp_path))
    lines = shown("doctor", columns=80, cwd=tmp_path)
    assert " ".join(lines[-2:]).startswith("missing: arm-none-eabi-gcc, ")
    commands = [line for line in lines if line.startswith("  apt-get install ")]
    assert "  apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi" in commands
    assert len(commands) == 6


def test_a_log_has_whole_lines_and_whole_tables(folder: Path) -> None:
    """Not a terminal: nothing is left out, short work says nothing of its progress."""
    done = subprocess.run(
        [sys.executable, "-m", "mcuq", "estimate", DIGITS, "--board", "microbit"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
    )
    assert "est. ms" in done.stdout
    assert "want of width" not in done.stdout
    assert "\r" not in done.stderr + done.stdout
    assert "\x1b" not in done.stderr + done.stdout
    assert all(re.fullmatch(r"estimate digits.onnx: +\d+% .+", x) for x in done.stderr.splitlines())


def test_forty_inputs_of_long_names_fit_80_columns(tmp_path: Path) -> None:
    """Big numbers are whole, and lines of text are broken between words."""
    names = [f"module.backbone.block_{i}.input_of_a_sensor_with_a_long_name" for i in range(40)]
    nodes, last = [], names[0]
    for index, name in enumerate(names[1:]):
        nodes.append(onnx_models.node("Add", f"{last} {name}", f"sum_{index}_of_all_the_sensors"))
        last = f"sum_{index}_of_all_the_sensors"
    nodes.append(onnx_models.node("MatMul", f"{last} w", "y"))
    weights = {"w": onnx_models.random(64, 2000)}
    proto = onnx_models.model(nodes, weights, dict.fromkeys(names, (1, 300, 64)), "y")
    onnx_models.save(proto, tmp_path, "forty.onnx")
    for command in (("inspect",), ("estimate", "--board", "cortex-m0", "--board", "teensy_4_1")):
        lines = shown(command[0], "forty.onnx", *command[1:], columns=80, cwd=tmp_path)
        check_tables(lines, 80)
        assert max(map(len, lines)) <= 80
        assert "38,400,000 MACs" in " ".join(lines)


ROWS = (("layer_of_a_long_name", "1,234,567", "mcuq_conv2d_s8_dsp", "12.5", "yes"),)
NAMES = ("step", "#MACs", "kernel", "?#per MAC", "fits")


@pytest.mark.parametrize(
    ("width", "headings", "kernel"),
    [
        (100, ("step", "MACs", "kernel", "per MAC", "fits"), "mcuq_conv2d_s8_dsp"),
        (70, ("step", "MACs", "kernel", "per MAC", "fits"), "mcuq_con…d_s8_dsp"),
        (63, ("step", "MACs", "kernel", "fits"), "mcuq_con…d_s8_dsp"),
        (45, ("step", "MACs", "fits"), None),
    ],
)
def test_columns_give_way(width: int, headings: tuple[str, ...], kernel: str | None) -> None:
    made = arrange(NAMES, ROWS, width)
    assert tuple(column.heading for column in made.columns) == headings
    assert made.columns[1].cells == ("1,234,567",)
    assert made.columns[0].cells == ("layer_of_a_long_name",)
    assert [c.cells[0] for c in made.columns if c.heading == "kernel"] == [kernel] * bool(kernel)
    assert 1 + sum(column.width + 3 for column in made.columns) <= width
    assert set(made.dropped) == {name.lstrip("?#") for name in NAMES} - set(headings)


def test_sentences_stand_below() -> None:
    limits = "Sizes are at most 65535, and the kernel fits into the image."
    rows = (("conv2d", limits), ("lut", "none"))
    assert arrange(("op", "~limits"), rows, 100).below == ()
    narrow = arrange(("op", "~limits"), rows, 60)
    assert narrow.below == (f"conv2d: {limits}",)
    assert narrow.columns[1].cells[1] == "none"
    assert arrange(("op", "~limits"), rows, 30).below == (f"conv2d: {limits}", "lut: none")
