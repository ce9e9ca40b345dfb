"""The command line: what a user sees when something is wrong, and that nothing is half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).parents[1]


def mcuq(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "mcuq", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
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
    refused(compile_it(tmp_path, network(tmp_path / "net.onnx", "Asin"), data), "/last", "Asin")
    assert not (tmp_path / "out").exists()


def test_dynamic_spatial_shape(tmp_path: Path, data: Path) -> None:
    path = network(tmp_path / "net.onnx", shape=[1, 2, "height", 6])
    refused(compile_it(tmp_path, path, data), "x")


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


def test_missing_toolchain(tmp_path: Path, data: Path) -> None:
    assert compile_it(tmp_path, network(tmp_path / "net.onnx"), data).returncode == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    done = mcuq("bench", "out", "--board", "mps2_an386", cwd=tmp_path, PATH=str(empty))
    assert done.returncode == 1
    assert "apt-get install gcc-arm-none-eabi" in done.stderr


def test_inspect_lists_every_unsupported_node(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Asin", ["x"], ["a"], name="/first"),
        helper.make_node("Acos", ["a"], ["y"], name="/second"),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4]) for n in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, ir_version=9), tmp_path / "net.onnx")
    done = mcuq("inspect", tmp_path / "net.onnx", cwd=tmp_path)
    assert done.returncode == 1
    assert "/first" in done.stderr
    assert "/second" in done.stderr


def test_usage_error_is_2(tmp_path: Path) -> None:
    assert mcuq("compile", cwd=tmp_path).returncode == 2
