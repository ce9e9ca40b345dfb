"""What a stream cannot be, told by the command in one line: exit code 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import run
from onnx_models import model, node, random, save

STATE = '[state]\nh = "y"\n'
SOUND = '[input.x]\nkind = "pcm16"\n[input.x.features]\nrecipe = "mlperf_kws"\n'
SLOW = SOUND + "rate = 4000\nhigh = 4000\n"


def layer(steps: int, **attrs: str) -> object:
    """A GRU over ``steps`` frames of 4, and scores of its last states."""
    ways = 2 if attrs["direction"] == "bidirectional" else 1
    constants = {
        "w": random(ways, 24, 4, seed=1),
        "r": random(ways, 24, 8, seed=2),
        "fc": random(3, 8 * ways),
        "size": np.array([1, 8 * ways]),
    }
    nodes = [
        node("GRU", "x w r", "all last", hidden_size=8, **attrs),
        node("Reshape", "last size", "flat"),
        node("Gemm", "flat fc", "y", transB=1),
    ]
    return model(nodes, constants, {"x": (steps, 1, 4)})


def filtered() -> object:
    """A state h of two rows that is put in front of the input, and scores of another shape."""
    nodes = [
        node("Concat", "h x", "rows", axis=2),
        node("Conv", "rows w", "c"),
        node("Flatten", "c", "y"),
    ]
    return model(nodes, {"w": random(3, 4, 3)}, {"x": (1, 4, 1), "h": (1, 4, 2)})


def strided() -> object:
    nodes = [
        node("Conv", "x w", "c", strides=[2]),
        node("Flatten", "c", "f"),
        node("Gemm", "f fc", "y", transB=1),
    ]
    return model(nodes, {"w": random(3, 4, 4), "fc": random(3, 15)}, {"x": (1, 4, 12)})


def heard() -> object:
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f fc", "y", transB=1)]
    return model(nodes, {"fc": random(3, 490)}, {"x": (1, 49, 10)})


@pytest.mark.parametrize(
    ("proto", "config", "options", "told"),
    [
        (filtered(), STATE, (), "its shape (1, 4, 2) is not that of output 'y', (1, 3)"),
        (strided(), "", ("--stream", "frames=1"), "Give frames=2, or a multiple of it"),
        (heard(), SLOW, (), "sound at 4000 Hz has no 4000 Hz"),
        (layer(12, direction="bidirectional"), "", ("--stream", "frames=1"), "runs backwards"),
        (layer(12, direction="reverse"), "", ("--stream", "frames=1"), "runs backwards"),
    ],
)
def test_one_line_and_exit_1(
    proto: object, config: str, options: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    path, table = save(proto, tmp_path, "net.onnx"), tmp_path / "net.toml"
    table.write_text(config)
    np.savez(tmp_path / "rows.npz", x=np.random.default_rng(0).normal(size=(9, 1, 4)))
    words = ("--calib", tmp_path / "rows.npz", "--config", table, "-o", tmp_path / "out", *options)
    done = run("compile", path, *words)
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert not (tmp_path / "out").exists()
