"""Explaining a compiled model: shares of the noise by layer and cause, and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from onnx_models import model, node, random, save

import mcuq
from mcuq.cli import cli
from mcuq.config import Config, InputConfig
from mcuq.fixed import dequantize
from mcuq.measure.explain import CAUSES, state_of
from mcuq.quantize.simulate import Simulation
from mcuq.reference import run_int
from mcuq.schema.records import plain

CONSTANTS = {
    "w1": random(6, 4, 3, 3), "b1": random(6), "w2": random(6, 6, 3, 3), "b2": random(6, seed=1),
    "w3": random(5, 6), "b3": random(5),
}  # fmt: skip
NODES = [
    node("Conv", "x w1 b1", "c", pads=[1, 1, 1, 1]),
    node("Relu", "c", "r"),
    node("Conv", "r w2 b2", "d", pads=[1, 1, 1, 1]),
    node("Add", "d r", "a"),
    node("GlobalAveragePool", "a", "g"),
    node("Flatten", "g", "f"),
    node("Gemm", "f w3 b3", "l", transB=1),
    node("Softmax", "l", "y", axis=1),
]
DATA = random(40, 4, 6, 5, low=-2.0, high=2.0)


def compiled(folder: Path, data: Any = DATA, inputs: Any = None, **options: Any) -> mcuq.Model:
    """The network above; ``options`` are those of the quantization, or constants to replace."""
    constants = {k: options.pop(k) for k in list(options) if k in CONSTANTS}
    path = save(model(NODES, {**CONSTANTS, **constants}), folder)
    config = Config(inputs or {}, {"effort": "fast", **options})
    return mcuq.compile(path, calibration=data, config=config)


def test_facts_of_every_layer(tmp_path: Path) -> None:
    made = compiled(tmp_path)
    found = made.explain()
    assert [x.tensor for x in found.layers] == ["x", "r", "d", "a", "g", "g.view", "l", "y"]
    assert found.rows == 32
    assert found.output_sqnr_db > 25
    assert [s.step for s in found.steps][:2] == ["affine input", "equalization"]
    for layer in found.layers[1:]:
        assert layer.sqnr_db > 20
        assert 0.99 < layer.cosine <= 1
        assert 0 < layer.used <= 1
    shares = [found.share(layer, cause) for layer in found.layers for cause in CAUSES]
    assert sum(shares) == pytest.approx(1)
    weights = {x.tensor for x in found.layers if x.noise["weights"] > 0}
    assert weights == {"r", "d", "l"}


def test_forced_clipping_is_found_and_its_fix_holds(tmp_path: Path) -> None:
    good = compiled(tmp_path)
    frac = next(x.frac for x in good.explain().layers if x.tensor == "a")
    bad = compiled(tmp_path, fracs={"a": frac + 2})
    found = bad.explain()
    worst = found.worst()[0]
    assert worst.tensor == "a"
    assert worst.clipped > 0.01
    fix = found.fixes[0]
    assert (fix.layer, fix.cause, fix.price) == ("Add:a", "clipping", "costs nothing")
    assert f"frac {frac + 2} -> {frac + 1}" in fix.text
    assert fix.gain_db is not None
    better = compiled(tmp_path, fracs={"a": frac + 1}).explain()
    gain = better.output_sqnr_db - found.output_sqnr_db
    assert gain == pytest.approx(fix.gain_db, abs=1.5)


def test_fixes_without_another_frac(tmp_path: Path) -> None:
    few = compiled(tmp_path).explain()
    assert any("100 or more calibration rows, it had 40" in fix.text for fix in few.fixes)
    many = compiled(tmp_path, data=random(120, 4, 6, 5, low=-2.0, high=2.0)).explain()
    assert any("--effort normal" in fix.text for fix in many.fixes)


def test_state_is_what_the_integers_compute(tmp_path: Path) -> None:
    bundle = compiled(tmp_path).compiled.bundle
    graph, qgraph = bundle.rounded or bundle.graph, bundle.qgraph
    port = qgraph.inputs[0]
    act = qgraph.tensors[port.tensor]
    assert isinstance(act.frac, int)
    feeds = {port.name: dequantize(bundle.vectors[port.name], act.frac, act.zero)}
    state = state_of(graph, qgraph, feeds)
    simulation = Simulation(state, feeds)
    for name, integers in run_int(qgraph, bundle.vectors).items():
        tensor = qgraph.tensors[name]
        if name != "y":  # softmax: one step, see simulate.py
            assert isinstance(tensor.frac, int)
            reals = dequantize(integers, tensor.frac, tensor.zero)
            assert np.abs(simulation.value(name) - reals).max() <= 2.0**-tensor.frac
            assert np.mean(simulation.value(name) == reals) > 0.99


def test_byte_inputs_and_other_data(tmp_path: Path) -> None:
    raw = np.random.default_rng(0).integers(0, 256, (40, 4, 6, 5)).astype(np.uint8)
    described = InputConfig("u8", (128.0,), (64.0,))
    made = compiled(tmp_path, data=raw, inputs={"x": described})
    assert made.explain().output_sqnr_db == pytest.approx(made.explain(raw[:32]).output_sqnr_db)
    assert made.explain(raw[:5]).rows == 5


@pytest.mark.parametrize("data", [DATA, DATA[:1]], ids=["rows", "one row"])
def test_layers_that_are_always_zero_are_named(data: Any, tmp_path: Path) -> None:
    zeros = {"w1": np.zeros_like(CONSTANTS["w1"]), "b1": np.zeros(6, np.float32)}
    made = compiled(tmp_path, data=data, **zeros)
    assert "layer 'Conv:c' gives 0 for every calibration row" in made.advice
    assert "layer 'Conv:c' gives 0 for every row" in made.explain().advice


def test_a_network_of_zeros_divides_by_nothing(tmp_path: Path) -> None:
    zeros = {name: np.zeros_like(data) for name, data in CONSTANTS.items()}
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        made = compiled(tmp_path, **zeros, effort="normal")
        facts = plain(made.explain().facts)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert [line for line in made.advice if "gives 0" in line] == [
        "layer 'Conv:c' gives 0 for every calibration row"
    ]


def test_command_writes_the_report(tmp_path: Path) -> None:
    compiled(tmp_path).write(tmp_path / "out")
    np.save(tmp_path / "x.npy", DATA[:4])
    args = ["explain", str(tmp_path / "out"), "--data", str(tmp_path / "x.npy")]
    done = CliRunner().invoke(cli, [*args, "--json", str(tmp_path / "e.json")])
    assert done.exit_code == 0, done.output
    assert "dB SQNR over 4 rows" in done.output
    assert "Add:a" in done.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["explain"] == json.loads((tmp_path / "e.json").read_text())
    assert report["quantization"]["calibration_rows"] == 40
