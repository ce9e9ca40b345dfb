"""Cores as boards, boards of one's own, and what is offered for a name that does not exist."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mcuq.cli import cli
from mcuq.errors import BoardError, McuqError, closest
from mcuq.targets import board_file, boards
from mcuq.targets.cores import CORES


@pytest.mark.parametrize("name", CORES)
def test_a_core_is_a_board_with_all_that_the_core_may_have(name: str) -> None:
    board = boards.load(name)
    core = CORES[name]
    assert (board.name, board.cpu, board.features) == (name, name, core.options)
    assert board.is_core
    assert boards.cpu(board) == core.cpu(*core.options)
    assert [f for f in board.flags if f.startswith(core.family.option)] == [
        f"{core.family.option}{name}"
    ]
    assert boards.machine(board).emulate_command
    assert boards.from_table(boards.to_table(board), "bundle") == board


def test_of_a_core_no_memory_is_known() -> None:
    with pytest.raises(
        BoardError, match=r"cortex-m4: is a core, whose memory is not known\. Name a"
    ):
        boards.with_memory(boards.load("cortex-m4"))
    board = boards.load("microbit")
    assert boards.with_memory(board) is board
    assert not board.is_core


def test_no_file_takes_the_name_of_a_core(tmp_path: Path) -> None:
    text = board_file.copied(boards.load("riscv32_virt"), "mine").replace("mine", "rv32imc")
    (tmp_path / "rv32imc.toml").write_text(text)
    with pytest.raises(BoardError, match="name 'rv32imc' is that of a core"):
        boards.load(tmp_path / "rv32imc.toml")


@pytest.mark.parametrize(
    ("given", "meant"),
    [("cortex-m44", "cortex-m4"), ("cortexm7", "cortex-m7"), ("microbit2", "microbit")],
)
def test_an_unknown_board_gets_the_closest_name(given: str, meant: str) -> None:
    with pytest.raises(BoardError, match=f"{given}: no such board. Did you mean '{meant}'"):
        boards.load(given)


def test_what_was_meant() -> None:
    assert closest("conv", ("convx", "dense")) == "Did you mean 'convx'"
    assert closest("zzz", ("b", "a", "a")) == "Known: a, b"
    assert closest("zzz", ("b", "a"), "Look") == "Look"
    assert closest("zzz", ("b", "a"), "", near=0.0) == "Did you mean 'b'"
    assert closest("x" * 10**6, ("y",), "") == ""


@pytest.mark.parametrize("origin", [*boards.names(), "cortex-m33", "rv32imac"])
def test_a_board_of_ones_own_begins_as_another(origin: str, tmp_path: Path) -> None:
    source = boards.load(origin)
    path = tmp_path / "mine.toml"
    path.write_text(board_file.copied(source, "mine"))
    made = boards.load(path)
    kept = ("cpu", "clock_hz", "flags", "features", "flash", "ram", "vectors", "stack")
    for key in (*kept, "multiply_cycles", "toolchain"):
        assert getattr(made, key) == getattr(source, key), key
    assert boards.machine(made) == boards.machine(source)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("microbit", "is the name of a board of mcuq"), ("../x", "must be lower-case letters"),
     ("rv32imc", "is that of a core")],
)  # fmt: skip
def test_names_that_no_new_board_gets(name: str, reason: str) -> None:
    with pytest.raises(McuqError, match=reason):
        board_file.copied(boards.load("nucleo_f446re"), name)


def test_boards_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    listed = json.loads(run(cli, ["boards", "--json"]).stdout)
    assert [b["name"] for b in listed["boards"]] == list(boards.names())
    assert [b["name"] for b in listed["cores"]] == list(CORES)
    assert "flash" in listed["boards"][0]
    assert "flash" not in listed["cores"][0]
    assert run(cli, ["boards", "cortex-m55", "--json", "one.json"]).exit_code == 0
    assert json.loads(Path("one.json").read_text())["cores"][0]["features"] == ["dsp", "mve"]
    made = run(cli, ["boards", "--new", "mine", "--from", "nucleo_f446re"])
    assert made.stdout == "mine.toml written; use it with --board mine.toml\n"
    assert boards.load("mine.toml").cpu == "cortex-m4"
    again = run(cli, ["boards", "--new", "mine", "--from", "microbit"])
    assert str(again.exception) == "mine.toml: is there already. Name another board."
    half = run(cli, ["boards", "--new", "other"])
    assert str(half.exception) == "boards: --new and --from belong together. Give both."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.toml", "one.json"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("mcuq bench --board micro", ["plain,microbit"]),
        ("mcuq boards cortex-m5", ["plain,cortex-m55"]),
        ("mcuq compile --pref", ["plain,--prefer"]),
        ("mcuq retar", ["plain,retarget"]),
        ("mcuq compile --board cortex-m3", ["plain,cortex-m3", "plain,cortex-m33"]),
    ],
)
def test_shells_complete_commands_options_and_boards(words: str, offered: list[str]) -> None:
    """What click's own script for bash asks."""
    environment = {
        "_MCUQ_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    found = CliRunner().invoke(cli, env=environment, prog_name="mcuq").stdout.splitlines()
    assert [line for line in found if line.startswith("plain,")] == offered
