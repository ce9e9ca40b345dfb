"""What is said of a compiled network: its SQNR, its columns, and values out of reach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from onnx_models import model, node, random, save
from torch import nn

import mcuq
from mcuq.cli import cli
from mcuq.config import Config
from mcuq.errors import DataError
from mcuq.flows import compile
from mcuq.flows.compile import Compiled
from mcuq.judge import line
from mcuq.measure.evaluate import auc

ROWS = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
FAST = Config(quantize={"effort": "fast"})


def two_layers(entry: float = 1.0, hidden: float = 1.0, result: float = 1.0) -> nn.Module:
    """Two dense layers whose input, hidden and output values have these scales."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    with torch.no_grad():
        net[0].weight.mul_(hidden / entry)
        net[0].bias.mul_(hidden)
        net[2].weight.mul_(result / hidden)
        net[2].bias.mul_(result)
    return net


def compiled(net: nn.Module, rows: np.ndarray = ROWS, config: Config = FAST) -> Compiled:
    return compile.compile_model(net, torch.from_numpy(rows[:1]), rows, config=config)


def test_columns_of_other_scales_are_named() -> None:
    """Scaled 1, 50, 1000, 0.01 the output has 36 dB, and two columns of one value."""
    net = two_layers()
    with torch.no_grad():
        for scale, row in zip((1.0, 50.0, 1000.0, 0.01), range(4), strict=True):
            net[2].weight[row].mul_(scale)  # type: ignore[operator]
            net[2].bias[row].mul_(scale)  # type: ignore[operator]
    made = compiled(net)
    assert made.report["judged"]["sqnr_db"] > 30
    assert made.report["judged"]["warnings"] == list(made.advice)
    assert len(made.advice) == 1
    assert "columns 0, 3 of 4 take one value in integers while they vary" in made.advice[0]


def test_a_poor_column_is_named() -> None:
    net = two_layers()
    with torch.no_grad():
        net[2].weight[1].mul_(0.01)  # type: ignore[operator]
        net[2].bias[1].mul_(0.01)  # type: ignore[operator]
        net[2].weight[2].mul_(0.5)  # type: ignore[operator]
    made = compiled(net)
    (advice,) = made.advice
    assert "column 1 of 4 lies under 15 dB" in advice or "column 1 of 4 takes one value" in advice


SCALES = {
    "outputs of 1e-8": (1.0, 1.0, 1e-8),
    "outputs of 1e9": (1.0, 1.0, 1e9),
    "hidden 1e-8": (1.0, 1e-8, 1.0),
    "hidden 1e9": (1.0, 1e9, 1.0),
    "inputs of 1e-8": (1e-8, 1.0, 1.0),
    "inputs of 1e9": (1e9, 1.0, 1.0),
    "all 1e-9": (1e-9, 1e-9, 1e-9),
}


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("scales", SCALES.values(), ids=SCALES)
def test_no_scale_is_out_of_reach(scales: tuple[float, float, float], bits: int) -> None:
    """At scale 1 it is 36.5 dB with 8 bits, 44.2 dB with 16."""
    config = Config(quantize={"effort": "fast", "bits": bits})
    rows = (ROWS * np.float32(scales[0])).astype(np.float32)
    made = compiled(two_layers(*scales), rows, config)
    assert made.report["judged"]["sqnr_db"] > (35 if bits == 8 else 43)
    assert made.advice == ()
    assert [v.exact for v in mcuq.Model(made).check([], vectors=4)] == [True]


def test_scales_beyond_any_frac_are_said() -> None:
    """Weights of 1e18."""
    made = compiled(two_layers(1e9, 1e-9, 1e9), (ROWS * np.float32(1e9)).astype(np.float32))
    assert any("of 4 lie under 15 dB" in advice for advice in made.advice)


def padded(value: float, folder: Path) -> Path:
    nodes = [node("Softmax", "x", "s", axis=1), node("Pad", "s p v", "y")]
    constants = {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "v": np.float32(value)}
    return save(model(nodes, constants), folder)


@pytest.mark.parametrize(("value", "said"), [(1.5, True), (0.5, False), (0.0, False)])
def test_padding_out_of_range(value: float, said: bool, tmp_path: Path) -> None:
    made = compile.compile_model(
        padded(value, tmp_path), calibration=random(32, 4, 6, 5), config=FAST
    )
    texts = [a for a in made.advice if f"pads with {value:g}, but 's' holds 0 to 0.9961" in a]
    assert len(texts) == said


def test_padding_of_a_convolution_out_of_range(tmp_path: Path) -> None:
    nodes = [node("Sigmoid", "x", "s"), node("Pad", "s p v", "t"), node("Conv", "t w", "y")]
    constants = {
        "p": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "v": np.float32(40.0), "w": random(3, 4, 3, 3),
    }  # fmt: skip
    path = save(model(nodes, constants), tmp_path)
    made = compile.compile_model(path, calibration=random(32, 4, 6, 5), config=FAST)
    assert any("pads with 40, but 's' holds" in advice for advice in made.advice)


def test_sixteen_bits_that_are_worse_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    right = compile.quantize.quantize_report

    def coarse(graph: Any, feeds: Any, options: Any) -> Any:
        fracs = {graph.outputs[0].tensor: 3} if options.bits else {}
        return right(graph, feeds, compile.replace(options, fracs=fracs))

    monkeypatch.setattr(compile.quantize, "quantize_report", coarse)
    config = Config(quantize={"effort": "fast", "bits": 16})
    advice = compiled(two_layers(), config=config).advice
    assert any("16 bits give" in text and "use --bits 8" in text for text in advice)


def test_rows_that_quantization_did_not_see_are_taken() -> None:
    many = np.random.default_rng(1).normal(size=(600, 8)).astype(np.float32)
    judged = compiled(two_layers(), many).report["judged"]
    assert (judged["rows"], judged["held_out"]) == (88, True)
    assert "88 held-out calibration rows" in line(judged)
    few = compiled(two_layers()).report["judged"]
    assert (few["rows"], few["held_out"]) == (64, False)
    assert line(few).endswith("(on 64 calibration rows)")


def data(folder: Path, **arrays: np.ndarray) -> str:
    np.savez(folder / "data.npz", **arrays)  # type: ignore[arg-type]
    return str(folder / "data.npz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(two_layers()).write(tmp_path_factory.mktemp("judged") / "out")


def run(*words: str) -> str:
    done = CliRunner().invoke(cli, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def test_eval_without_labels(folder: Path, tmp_path: Path) -> None:
    said = run("eval", str(folder), "--data", data(tmp_path, x=ROWS),
               "--json", str(tmp_path / "e.json"))  # fmt: skip
    assert "output SQNR" in said
    assert "against float" in said
    assert "top-1" not in said
    facts = json.loads((tmp_path / "e.json").read_text())
    assert facts["float_top1"] is None
    assert facts["outputs"][0]["mse"] > 0


def test_eval_of_a_regression(folder: Path, tmp_path: Path) -> None:
    with torch.no_grad():
        exact = two_layers()(torch.from_numpy(ROWS)).numpy()
    out = tmp_path / "e.json"
    run("eval", str(folder), "--data", data(tmp_path, x=ROWS, y=exact + 0.5), "--json", str(out))
    found = json.loads(out.read_text())["targets"]
    assert found["float_mse"] == pytest.approx(0.25, rel=1e-5)
    assert found["float_mae"] == pytest.approx(0.5, rel=1e-5)
    assert found["int8_mae"] == pytest.approx(0.5, rel=0.05)


def test_eval_of_classes(folder: Path, tmp_path: Path) -> None:
    with torch.no_grad():
        classes = two_layers()(torch.from_numpy(ROWS)).argmax(1).numpy()
    assert "float top-1" in run("eval", str(folder), "--data", data(tmp_path, x=ROWS, y=classes))


def test_eval_of_anomalies(tmp_path: Path) -> None:
    """An autoencoder whose error grows with the second half of the rows."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    rows = np.concatenate([0.1 * ROWS, 4 * ROWS]).astype(np.float32)
    labels = np.repeat([0, 1], len(ROWS))
    made = mcuq.Model(compiled(net, rows))
    found = made.evaluate(rows, labels, anomaly=True).anomaly
    assert found is not None
    with torch.no_grad():
        errors = ((net(torch.from_numpy(rows)).numpy() - rows) ** 2).mean(1)
    assert found.float_auc == pytest.approx(auc(errors, labels), abs=1e-3)
    assert found.int8_auc > 0.9
    with pytest.raises(DataError, match="0 for normal rows and 1"):
        made.evaluate(rows, np.zeros(len(rows)), anomaly=True)
    with pytest.raises(DataError, match="no y"):
        made.evaluate(rows, anomaly=True)


def test_targets_must_fit(folder: Path) -> None:
    with pytest.raises(DataError, match="one target for each output value"):
        mcuq.load(folder).evaluate(ROWS, np.full((64, 3), 0.5))


@pytest.mark.parametrize(
    ("scores", "labels", "wanted"),
    [
        ([1, 2, 3, 4], [0, 0, 1, 1], 1.0),
        ([4, 3, 2, 1], [0, 0, 1, 1], 0.0),
        ([1, 1, 1, 1], [0, 1, 0, 1], 0.5),
        ([1, 2, 2, 3], [0, 0, 1, 1], 0.875),
    ],
)
def test_area_under_the_curve(scores: list[int], labels: list[int], wanted: float) -> None:
    assert auc(np.array(scores, float), np.array(labels)) == wanted
