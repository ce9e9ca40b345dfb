"""What is said of a compiled network: its SQNR, its columns, and values out of reach."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from onnx_models import model, node, random, save
from sklearn.datasets import load_digits

import mcuq
from mcuq.cli import cli
from mcuq.config import Config
from mcuq.errors import DataError
from mcuq.flows import compile
from mcuq.measure.evaluate import auc
from mcuq.model.compiled import Compiled
from mcuq.model.report import to_text

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"
ROWS = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
FAST = Config(quantize={"effort": "fast"})


WEIGHTS = (random(8, 16), random(16, seed=1), random(16, 4, seed=2), random(4, seed=3))
ONES = np.ones(4)
Scales = tuple[float, float, float]


def two_layers(folder: Path, scales: Scales = (1.0, 1.0, 1.0), columns: np.ndarray = ONES) -> Path:
    """Two dense layers whose input, hidden and output values have these scales."""
    entry, hidden, result = scales
    w, b, v, c = WEIGHTS
    constants = {
        "w": w * hidden / entry, "b": b * hidden,
        "v": v * columns * result / hidden, "c": c * columns * result,
    }  # fmt: skip
    stored = {name: values.astype(np.float32) for name, values in constants.items()}
    nodes = [node("Gemm", "x w b", "g"), node("Relu", "g", "h"), node("Gemm", "h v c", "y")]
    return save(model(nodes, stored, {"x": ("N", 8)}), folder)


def exact(rows: np.ndarray) -> np.ndarray:
    """What ``two_layers`` computes."""
    w, b, v, c = WEIGHTS
    found: np.ndarray = np.maximum(rows @ w + b, 0) @ v + c
    return found


def compiled(path: Path, rows: np.ndarray = ROWS, config: Config = FAST) -> Compiled:
    return compile.compile_model(path, calibration=rows, config=config)


def test_columns_of_other_scales_are_named(tmp_path: Path) -> None:
    """Scaled 1, 50, 1000, 0.01 the output has 36 dB, and two columns of one value."""
    made = compiled(two_layers(tmp_path, columns=np.array([1.0, 50.0, 1000.0, 0.01])))
    assert made.report.judged.sqnr_db > 30
    assert made.report.judged.warnings == made.advice
    assert "columns 0, 3 of 4 take one value in integers while they vary" in made.advice[0]


def test_a_poor_column_is_named(tmp_path: Path) -> None:
    made = compiled(two_layers(tmp_path, columns=np.array([1.0, 0.02, 1.0, 1.0])))
    (advice,) = made.advice
    assert "output 'y': column 1 of 4 lies under 15 dB" in advice


LOW, HIGH = 2.0**-27, 2.0**30
SCALES = {
    "outputs of 1e-8": (1.0, 1.0, LOW),
    "outputs of 1e9": (1.0, 1.0, HIGH),
    "hidden 1e-8": (1.0, LOW, 1.0),
    "hidden 1e9": (1.0, HIGH, 1.0),
    "inputs of 1e-8": (LOW, 1.0, 1.0),
    "inputs of 1e9": (HIGH, 1.0, 1.0),
    "all 1e-8": (LOW, LOW, LOW),
}


@functools.cache
def plain_db(bits: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        config = Config(quantize={"effort": "fast", "bits": bits})
        found: float = compiled(two_layers(Path(folder)), config=config).report.judged.sqnr_db
        return found


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("scales", SCALES.values(), ids=SCALES)
def test_no_scale_is_out_of_reach(scales: Scales, bits: int, tmp_path: Path) -> None:
    """As good as at scale 1, and as exact in C."""
    config = Config(quantize={"effort": "fast", "bits": bits})
    rows = (ROWS * np.float32(scales[0])).astype(np.float32)
    made = compiled(two_layers(tmp_path, scales), rows, config)
    assert made.report.judged.sqnr_db == plain_db(bits)
    assert made.advice == ()
    assert [v.exact for v in mcuq.Model(made).check([], vectors=4)] == [True]


def test_scales_beyond_any_frac_are_said(tmp_path: Path) -> None:
    """Weights of 1e18."""
    rows = (ROWS * np.float32(1e9)).astype(np.float32)
    made = compiled(two_layers(tmp_path, (1e9, 1e-9, 1e9)), rows)
    assert "columns 0, 1, 2, 3 of 4 take one value" in " ".join(made.advice)


def padded(value: float, folder: Path) -> Path:
    nodes = [node("Softmax", "x", "s", axis=1), node("Pad", "s p v", "y")]
    constants = {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "v": np.float32(value)}
    return save(model(nodes, constants), folder)


@pytest.mark.parametrize(("value", "said"), [(1.5, True), (0.5, False), (0.0, False)])
def test_padding_out_of_range(value: float, said: bool, tmp_path: Path) -> None:
    made = compile.compile_model(
        padded(value, tmp_path), calibration=random(32, 4, 6, 5), config=FAST
    )
    assert ("pads with 1.5, but 's' holds 0 to 0.9961" in " ".join(made.advice)) == said


def test_padding_of_a_convolution_out_of_range(tmp_path: Path) -> None:
    nodes = [node("Sigmoid", "x", "s"), node("Pad", "s p v", "t"), node("Conv", "t w", "y")]
    constants = {
        "p": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "v": np.float32(40.0), "w": random(3, 4, 3, 3),
    }  # fmt: skip
    path = save(model(nodes, constants), tmp_path)
    made = compile.compile_model(path, calibration=random(32, 4, 6, 5), config=FAST)
    assert any("pads with 40, but 's' holds" in advice for advice in made.advice)


def test_sixteen_bits_that_are_worse_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = compile.quantize.quantize_report

    def coarse(graph: Any, feeds: Any, options: Any) -> Any:
        fracs = {graph.outputs[0].tensor: 3} if options.bits else {}
        return right(graph, feeds, compile.replace(options, fracs=fracs))

    monkeypatch.setattr(compile.quantize, "quantize_report", coarse)
    config = Config(quantize={"effort": "fast", "bits": 16})
    advice = compiled(two_layers(tmp_path), config=config).advice
    assert any("16 bits give" in text and "use --bits 8" in text for text in advice)


def test_eight_bits_are_quantized_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of a softmax is of 16 bits; no activation is."""
    calls: list[Any] = []
    right = compile.quantize.quantize_report

    def counted(graph: Any, feeds: Any, options: Any) -> Any:
        calls.append(options)
        return right(graph, feeds, options)

    monkeypatch.setattr(compile.quantize, "quantize_report", counted)
    nodes = [node("Gemm", "x w", "s"), node("Softmax", "s", "y", axis=1)]
    path = save(model(nodes, {"w": random(8, 4)}, {"x": ("N", 8)}), tmp_path)
    made = compiled(path)
    tensors = made.bundle.qgraph.tensors.values()
    assert [t.kind for t in tensors if t.kind == "s16" and t.data is not None] == ["s16"]
    assert made.report.judged
    assert made.report.judged.sqnr_db < compile.WIDE_ENOUGH_DB  # nor is it that good
    assert len(calls) == 1


def test_rows_that_quantization_did_not_see_are_taken(tmp_path: Path) -> None:
    many = np.random.default_rng(1).normal(size=(600, 8)).astype(np.float32)
    many_of = compiled(two_layers(tmp_path), many).report
    judged = many_of.judged
    assert judged
    assert (judged.rows, judged.held_out) == (88, True)
    assert "88 held-out calibration rows" in next(to_text(many_of))
    few_of = compiled(two_layers(tmp_path)).report
    few = few_of.judged
    assert few
    assert (few.rows, few.held_out) == (64, False)
    assert next(to_text(few_of)).endswith("(on 64 calibration rows)")


def data(folder: Path, **arrays: np.ndarray) -> str:
    np.savez(folder / "data.npz", **arrays)
    return str(folder / "data.npz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("judged")
    return compiled(two_layers(place)).write(place / "out")


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
    targets = exact(ROWS) + 0.5
    out = tmp_path / "e.json"
    run("eval", str(folder), "--data", data(tmp_path, x=ROWS, y=targets), "--json", str(out))
    found = json.loads(out.read_text())["targets"]
    assert found["float_mse"] == pytest.approx(0.25, rel=1e-5)
    assert found["float_mae"] == pytest.approx(0.5, rel=1e-5)
    assert found["int8_mae"] == pytest.approx(0.5, rel=0.05)


def test_eval_of_classes(folder: Path, tmp_path: Path) -> None:
    classes = exact(ROWS).argmax(1)
    assert "float top-1" in run("eval", str(folder), "--data", data(tmp_path, x=ROWS, y=classes))


def test_eval_of_anomalies(tmp_path: Path) -> None:
    """An autoencoder of two of eight values: what it leaves out is larger in the second half."""
    rows = np.concatenate([0.1 * ROWS, 4 * ROWS]).astype(np.float32)
    labels = np.repeat([0, 1], len(ROWS))
    weights = np.diag([1, 1, 0, 0, 0, 0, 0, 0]).astype(np.float32)
    proto = model([node("MatMul", "x w", "y")], {"w": weights}, {"x": ("N", 8)})
    made = mcuq.Model(compiled(save(proto, tmp_path), rows))
    found = made.evaluate(rows, labels, anomaly=True).anomaly
    assert found is not None
    assert found.float_auc == auc((rows[:, 2:] ** 2).sum(1), labels)
    assert found.int8_auc > 0.99
    with pytest.raises(DataError, match="0 for normal rows and 1"):
        made.evaluate(rows, np.zeros(len(rows)), anomaly=True)
    with pytest.raises(DataError, match="no y"):
        made.evaluate(rows, anomaly=True)


def test_targets_must_fit(folder: Path) -> None:
    with pytest.raises(DataError, match="one target for each output value"):
        mcuq.load(folder).evaluate(ROWS, np.full((64, 3), 0.5))
    with pytest.raises(DataError, match="targets beyond 3e"):
        mcuq.load(folder).evaluate(ROWS, np.full(exact(ROWS).shape, 1e308))


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


def test_a_healthy_network_gets_no_warning() -> None:
    images, _ = load_digits(return_X_y=True)
    rows = (images / 16).reshape(-1, 1, 8, 8).astype(np.float32)[:600]
    made = compiled(DIGITS, rows)
    assert made.advice == ()
    assert made.report.judged.sqnr_db > 28
    assert made.report.judged.agreement > 0.97
