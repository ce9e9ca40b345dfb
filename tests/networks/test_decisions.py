"""``[output.NAME.decide]``: what becomes of scores, as the last steps of a stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import model, node, random, save

import mcuq
from mcuq.config import parse
from mcuq.errors import McuqError
from mcuq.ir import shown
from mcuq.model import bundle
from mcuq.reference import port_to_real
from mcuq.sequences import run_integer
from mcuq.stream.decide import Decision, decisions

LABELS = ["yes", "no", "noise"]
MADE = Decision(on=0.5, off=0.4, mean=3, refractory=6, ignore=(2,))
TABLE = {"mean": 3, "on": 0.5, "off": 0.4, "refractory": 6, "ignore": ["noise"]}


def classifier(folder: Path) -> Path:
    steps = [node("Gemm", "x w b", "z", transB=1), node("Softmax", "z", "y", axis=-1)]
    return save(
        model(steps, {"w": random(3, 4), "b": random(3)}, {"x": (1, 4)}), folder, "say.onnx"
    )


def compiled(folder: Path, decide: Any, **options: Any) -> mcuq.Model:
    config = parse({"output": {"y": {"labels": LABELS, "decide": decide}}}, "a.toml")
    return mcuq.compile(classifier(folder), None, rows(), config=config, effort="fast", **options)


def rows(count: int = 60) -> np.ndarray:
    """(count, 4), whose largest score stays for a while."""
    chance = np.random.default_rng(3)
    held = np.repeat(chance.normal(size=(count // 6 + 1, 4)), 6, axis=0)[:count]
    return (2 * held + 0.5 * chance.normal(size=held.shape)).astype(np.float32)


def test_decisions_are_those_of_the_integer_scores(tmp_path: Path) -> None:
    """And a class that is left out never begins; events are apart."""
    made = compiled(tmp_path, TABLE)
    graph = made.compiled.program.qgraph
    ports = shown(graph)
    assert [port.name for port in ports] == ["y", "y_decision"]
    feeds = mcuq.data.feeds.from_arrays(rows(600), graph)
    found = run_integer(graph, feeds, {port.tensor for port in ports})
    scores = port_to_real(ports[0], found[ports[0].tensor])
    wanted = decisions(scores, MADE)
    np.testing.assert_array_equal(found[ports[1].tensor], wanted)
    begins = np.flatnonzero(wanted[:, 0])
    assert set(wanted[begins, 0]) == {1, 2}
    assert np.diff(begins).min() >= 6
    assert (wanted[:, 1] != 0).sum() > len(begins)
    header = made.files["say.h"]
    assert "#define SAY_OUT_Y_DECISION_LEN 3" in header
    assert "#define SAY_STATE_LEN 20\n" in header


@pytest.mark.emulated
def test_every_tensor_and_state_is_exact(tmp_path: Path) -> None:
    made = compiled(tmp_path, TABLE)
    assert [verdict.exact for verdict in made.check("cortex-m0", vectors=12)] == [True, True]
    made.write(tmp_path / "out")
    assert bundle.dump(bundle.load(tmp_path / "out")) == bundle.dump(made.compiled.bundle)
    assert made.evaluate(rows()).sqnr_db > 20


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"mean": 3}, "output.y.decide: does not say on"),
        ({"on": 0.5, "off": 0.6}, "off = 0.6 is above on = 0.5. Lower off"),
        ({"on": 0.5, "means": 3}, "unknown key means. Did you mean 'mean'"),
        ({"on": 0.5, "mean": 0}, "mean is 0, not an integer in 1..32767"),
        ({"on": 0.5, "ignore": ["quiet"]}, "no label 'quiet'"),
        ({"on": 0.5, "ignore": [3]}, "ignores class 3 of 3. Count from 0"),
        ({"on": 1.0}, "no class begins at 1: in integers scores reach 0.9961. Lower on"),
        ("often", "output.y.decide: is not a table"),
    ],
)
def test_what_cannot_be_decided_is_refused_in_a_line(table: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(McuqError) as caught:
        compiled(tmp_path, table)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_a_network_that_decides_cannot_lie_apart(tmp_path: Path) -> None:
    with pytest.raises(McuqError, match="is a stream, whose weights cannot lie apart"):
        compiled(tmp_path, TABLE, weights=1)
