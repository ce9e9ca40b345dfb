"""The command line: what a user sees when something is wrong, and that nothing is half-written."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from commands import Done
from commands import run as mcuq
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

from mcuq.__main__ import main

ROOT = Path(__file__).parents[2]


def refused(done: Done, *words: str) -> None:
    """Exit 1 with one line on stderr that holds ``words`` (progress lines aside)."""
    lines = [
        x for x in done.stderr.splitlines() if not x.startswith(("compile ", "check ", "run "))
    ]
    assert done.returncode == 1, done.stderr
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


def network(
    path: Path, op: str = "Relu", weights: np.ndarray | None = None, **dims: object
) -> Path:
    """Conv and one more operator, 1x2x6x6 input named x."""
    chance = np.random.default_rng(0)
    w = chance.normal(0, 0.3, (4, 2, 3, 3)).astype(np.float32) if weights is None else weights
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], name="/conv", kernel_shape=[3, 3]),
        helper.make_node(op, ["h"], ["y"], name="/last"),
    ]
    shape = dims.get("shape", [1, 2, 6, 6])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(w, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.npz"
    x = np.random.default_rng(1).normal(0, 1, (16, 2, 6, 6)).astype(np.float32)
    np.savez(path, x=x, flat=np.ones_like(x), wrong=x[:, :1], none=x[:0], y=np.zeros(16, np.int64))
    return path


def compile_it(tmp_path: Path, model: Path, calib: object, *more: object):
    options = ["--calib", calib] if calib else []
    return mcuq("compile", model, *options, "-o", "out", *more, cwd=tmp_path)


def test_compile_writes_a_folder(tmp_path: Path, data: Path) -> None:
    done = compile_it(tmp_path, network(tmp_path / "net.onnx"), data)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["macs"] == 4 * 4 * 4 * 2 * 9
    assert {"params", "flash_weights", "arena", "arena_lower_bound", "steps"} <= set(report)
    assert (tmp_path / "out" / "net.c").is_file()
    assert "net_run" in (tmp_path / "out" / "net.h").read_text()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (":flat", ("constant",)),
        (":wrong", ("shape",)),
        (":none", ("no rows",)),
        (":absent", ("no array 'absent'",)),
    ],
)
def test_bad_calibration(tmp_path: Path, data: Path, array: str, words: tuple[str, ...]) -> None:
    refused(compile_it(tmp_path, network(tmp_path / "net.onnx"), f"{data}{array}"), *words)
    assert not (tmp_path / "out").exists()


def test_no_calibration(tmp_path: Path) -> None:
    refused(compile_it(tmp_path, network(tmp_path / "net.onnx"), None), "--calib")
    assert not (tmp_path / "out").exists()


def test_not_onnx(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"this is not a model")
    refused(compile_it(tmp_path, path, data), "net.onnx")


def test_truncated(tmp_path: Path, data: Path) -> None:
    path = network(tmp_path / "net.onnx")
    path.write_bytes(path.read_bytes()[:200])
    refused(compile_it(tmp_path, path, data), "net.onnx")


def test_missing_file(tmp_path: Path, data: Path) -> None:
    refused(compile_it(tmp_path, tmp_path / "none.onnx", data), "none.onnx")


def test_unsupported_operator(tmp_path: Path, data: Path) -> None:
    refused(
        compile_it(tmp_path, network(tmp_path / "net.onnx", "Bernoulli"), data),
        "/last",
        "Bernoulli",
    )
    assert not (tmp_path / "out").exists()


def test_dynamic_spatial_shape(tmp_path: Path, data: Path) -> None:
    """The data has the size; data of another rank has not."""
    path = network(tmp_path / "net.onnx", shape=[1, 2, "height", 6])
    done = compile_it(tmp_path, path, data)
    assert done.returncode == 0, done.stderr
    assert "note: input 'x' is 1,2,6,6, as the calibration data has it" in done.stderr
    np.save(tmp_path / "flat.npy", np.zeros((16, 72)))
    refused(compile_it(tmp_path, path, tmp_path / "flat.npy"), "'height'", "--shape x=1,2,SIZE,6")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_not_finite(tmp_path: Path, data: Path, bad: float) -> None:
    weights = np.full((4, 2, 3, 3), bad, np.float32)
    refused(compile_it(tmp_path, network(tmp_path / "net.onnx", weights=weights), data), "w")


def test_unknown_board(tmp_path: Path, data: Path) -> None:
    path = network(tmp_path / "net.onnx")
    refused(compile_it(tmp_path, path, data, "--board", "nucleo_f446r"), "nucleo_f446re")


def test_board_file_with_a_typo(tmp_path: Path, data: Path) -> None:
    text = (ROOT / "boards" / "nucleo_f446re.toml").read_text().replace("clock_hz", "clock_herz")
    (tmp_path / "mine.toml").write_text(text)
    path = network(tmp_path / "net.onnx")
    done = compile_it(tmp_path, path, data, "--board", tmp_path / "mine.toml")
    assert done.returncode == 1
    assert "clock_herz" in done.stderr
    assert "clock_hz" in done.stderr
    assert not (tmp_path / "out").exists()


def test_config_with_a_typo(tmp_path: Path, data: Path) -> None:
    (tmp_path / "c.toml").write_text("[input.x]\nmeen = 3\n")
    path = network(tmp_path / "net.onnx")
    refused(compile_it(tmp_path, path, data, "--config", tmp_path / "c.toml"), "meen", "mean")


def test_a_folder_of_others_is_not_touched(tmp_path: Path, data: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    refused(compile_it(tmp_path, network(tmp_path / "net.onnx"), data), "not written by mcuq")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"


def test_a_compiled_folder_is_replaced(tmp_path: Path, data: Path) -> None:
    path = network(tmp_path / "net.onnx")
    for name in ("first", "second"):
        assert compile_it(tmp_path, path, data, "--name", name).returncode == 0
    assert (tmp_path / "out" / "second.c").is_file()
    assert not (tmp_path / "out" / "first.c").exists()


def test_the_users_files_in_a_compiled_folder_survive(tmp_path: Path, data: Path) -> None:
    path = network(tmp_path / "net.onnx")
    assert compile_it(tmp_path, path, data, "--name", "first").returncode == 0
    (tmp_path / "out" / "notes").mkdir()
    (tmp_path / "out" / "notes" / "todo.txt").write_text("mine")
    (tmp_path / "out" / "second.c").write_text("mine, too")
    refused(compile_it(tmp_path, path, data, "--name", "second"), "second.c", "yours")
    assert compile_it(tmp_path, path, data, "--name", "third").returncode == 0
    assert (tmp_path / "out" / "notes" / "todo.txt").read_text() == "mine"
    assert (tmp_path / "out" / "second.c").read_text() == "mine, too"
    assert not (tmp_path / "out" / "first.c").exists()


@pytest.mark.parametrize("change", ["version", "damage", "missing"])
def test_a_folder_of_another_version_is_refused(tmp_path: Path, data: Path, change: str) -> None:
    assert compile_it(tmp_path, network(tmp_path / "net.onnx"), data).returncode == 0
    report = tmp_path / "out" / "report.json"
    if change == "missing":
        report.unlink()
    else:
        text = report.read_text()
        report.write_text(
            text[1:] if change == "damage" else text.replace('"arena": ', '"arena": 9')
        )
    refused(mcuq("check", "out", "--board", "mps2_an386", cwd=tmp_path), "out", "ompile")


@pytest.mark.parametrize("name", ["int", "9x", "a-b", "A"])
def test_bad_name(tmp_path: Path, data: Path, name: str) -> None:
    refused(compile_it(tmp_path, network(tmp_path / "n.onnx"), data, "--name", name), "--name")


@pytest.mark.parametrize("command", ["check", "bench", "eval", "run", "build"])
def test_commands_on_a_folder_that_is_not_ours(tmp_path: Path, data: Path, command: str) -> None:
    more = {
        "bench": ["--board", "mps2_an386"],
        "eval": ["--data", data],
        "run": ["--board", "mps2_an386", "--input", data, "-o", "y.npy"],
        "build": ["--board", "mps2_an386"],
    }
    refused(mcuq(command, tmp_path, *more.get(command, []), cwd=tmp_path), "mcuq compile")


def test_run_checks_the_name_of_its_output_before_it_builds(tmp_path: Path, data: Path) -> None:
    assert compile_it(tmp_path, network(tmp_path / "net.onnx"), data).returncode == 0
    options = ["--board", "mps2_an386", "--input", f"{data}:x", "-o", "y.txt"]
    refused(mcuq("run", "out", *options, cwd=tmp_path), "y.txt", ".npz")
    assert not (tmp_path / "y.txt").exists()


def test_missing_toolchain(tmp_path: Path, data: Path) -> None:
    assert compile_it(tmp_path, network(tmp_path / "net.onnx"), data).returncode == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    done = mcuq("bench", "out", "--board", "mps2_an386", cwd=tmp_path, PATH=str(empty))
    assert done.returncode == 1
    assert "apt-get install gcc-arm-none-eabi" in done.stderr


def test_a_shape_that_the_file_leaves_open(tmp_path: Path) -> None:
    path = network(tmp_path / "net.onnx", shape=["N", 2, "H", "W"])
    refused(mcuq("inspect", path, cwd=tmp_path), "axis 2", "--shape x=1,2,SIZE,SIZE")
    done = mcuq("inspect", path, "--shape", "x=1,2,6,8", "--json", "facts.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    note = "input 'x' is 1,2,6,8, as --shape says"
    assert done.stderr == f"note: {note}\n"
    assert json.loads((tmp_path / "facts.json").read_text())["notes"] == [note]
    refused(mcuq("inspect", path, "--shape", "x=1,,6", cwd=tmp_path), "Write NAME=SIZES")
    np.save(tmp_path / "data.npy", np.random.default_rng(0).normal(size=(9, 2, 6, 8)))
    done = mcuq("compile", path, "--calib", "data.npy", "-o", "out", cwd=tmp_path)
    assert "note: input 'x' is 1,2,6,8, as the calibration data has it" in done.stderr
    (tmp_path / "c.toml").write_text("[shapes]\nx = [1, 2, 7, 6]\n")
    done = mcuq("compress", path, "--compress", "int4", "--config", "c.toml", "-o", "small.onnx",
                cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_inspect_lists_every_unsupported_node(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Bernoulli", ["x"], ["a"], name="/first"),
        helper.make_node("Bernoulli", ["a"], ["y"], name="/second"),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4]) for n in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, ir_version=9), tmp_path / "net.onnx")
    done = mcuq("inspect", tmp_path / "net.onnx", cwd=tmp_path)
    assert done.returncode == 1
    assert "/first" in done.stderr
    assert "/second" in done.stderr


def test_help_keeps_its_lines_and_cuts_none_short(tmp_path: Path) -> None:
    text = mcuq("--help", cwd=tmp_path).stdout
    assert re.search(r"^ +mcuq check out --all +compare every tensor on every core$", text, re.M)
    assert "..." not in text.replace("[ARGS]...", "")
    assert "\\b" not in text


def test_usage_error_is_2(tmp_path: Path) -> None:
    assert mcuq("compile", cwd=tmp_path).returncode == 2


@pytest.mark.emulated
def test_check_names_the_first_step_that_differs(tmp_path: Path, data: Path) -> None:
    assert compile_it(tmp_path, network(tmp_path / "net.onnx"), data).returncode == 0
    good = mcuq("check", "out", "--board", "mps2_an386", "--json", "good.json", cwd=tmp_path)
    assert good.returncode == 0, good.stderr
    verdict = json.loads((tmp_path / "good.json").read_text())["boards"]["mps2_an386"]
    assert verdict["mismatches"] == 0
    assert verdict["tensors"] == 20
    wanted = {"vectors", "tensors", "mismatches", "instructions", "flash", "ram", "stack"}
    assert wanted <= set(verdict)
    assert 0 < verdict["stack"] <= verdict["stack_bound"]
    assert re.fullmatch(r"arm-none-eabi-gcc [\d.]+ -O2 -mcpu=.*", verdict["stack_compiler"])
    assert re.fullmatch(r"clang [\d.]+ -O2 -mcpu=.*", verdict["stack_compiler_clang"])
    for key in ("stack_compiler", "stack_compiler_clang"):
        bound = verdict[key.replace("compiler", "bound")]
        assert f"{bound:,} B with {verdict[key][:20]}" in good.stdout
    source = tmp_path / "out" / "net_weights.h"
    source.write_text(
        re.sub(r"(conv_weights\[\d+\] [^={]*= \{\n +)-?\d+,", r"\g<1>127,", source.read_text())
    )
    bad = mcuq("check", "out", "--board", "mps2_an386", cwd=tmp_path)
    assert bad.returncode == 1
    assert "step '/conv' differs first" in bad.stdout
    assert re.search(r"expected -?\d+, got -?\d+", bad.stdout)


@pytest.mark.emulated
def test_bench_and_run(tmp_path: Path, data: Path) -> None:
    model = network(tmp_path / "net.onnx")
    assert compile_it(tmp_path, model, data, "--board", "mps2_an386").returncode == 0
    done = mcuq("bench", "out", "--why", "--json", "bench.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "bench.json").read_text())
    assert sum(step["instructions"] for step in facts["steps"]) == facts["instructions"] > 0
    assert {"name", "op", "kernel", "macs", "instructions"} <= set(facts["steps"][0])
    assert "chosen" in done.stdout
    again = mcuq("bench", "out", "--json", "again.json", cwd=tmp_path)
    assert again.returncode == 0
    assert json.loads((tmp_path / "again.json").read_text()) == facts
    # Twice, into the compiled folder itself: its other commands leave such files alone.
    for _ in range(2):
        done = mcuq("run", "out", "--input", f"{data}:x", "-o", "out/y.npy", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "out" / "y.npy").shape == (16, 4, 4, 4)


def test_eval_of_the_digits_network(tmp_path: Path) -> None:
    digits = load_digits()
    images = (digits.images[:300, None] / 16).astype(np.float32)
    np.savez(tmp_path / "digits.npz", x=images, y=digits.target[:300])
    done = compile_it(tmp_path, ROOT / "examples" / "digits.onnx", "digits.npz")
    assert done.returncode == 0, done.stderr
    done = mcuq("eval", "out", "--data", "digits.npz", "--json", "eval.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "eval.json").read_text())
    assert {name for name, value in found.items() if value is not None} == {
        "samples", "float_top1", "int8_top1", "agreement", "sqnr_db", "outputs"
    }  # fmt: skip
    assert found["samples"] == 300
    assert found["float_top1"] - found["int8_top1"] <= 0.01
    assert found["sqnr_db"] > 25


def test_a_full_disk_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/probe.o")

    monkeypatch.setattr("mcuq.cli.cli", full)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("/tmp/probe.o: cannot be written (No space left")
