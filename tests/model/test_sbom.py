"""The bill of materials: valid, complete, and the same bytes for the same folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mcuq import __version__
from mcuq.cli import cli
from mcuq.config import Config
from mcuq.flows.compile import compile_model

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"
# The kinds of component that CycloneDX 1.6 knows, of those that are used here.
KINDS = {"application", "firmware", "machine-learning-model", "data", "file"}


def written(place: Path, seed: int = 3, effort: str = "fast") -> Path:
    rows = np.random.default_rng(seed).uniform(0, 1, (40, 1, 8, 8)).astype(np.float32)
    settings = Config(quantize={"effort": effort})
    made = compile_model(DIGITS, calibration=rows, board="microbit", config=settings)
    return made.write(place / "out")


def bill(folder: Path) -> bytes:
    target = folder.parent / "bill.json"
    done = CliRunner().invoke(cli, ["sbom", str(folder), "-o", str(target)])
    assert done.exit_code == 0, done.output
    return target.read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("sbom"))


def test_it_names_every_file_with_its_hash(folder: Path) -> None:
    facts = json.loads(bill(folder))
    assert (facts["bomFormat"], facts["specVersion"], facts["version"]) == ("CycloneDX", "1.6", 1)
    model = facts["metadata"]["component"]
    (tool,) = facts["metadata"]["tools"]["components"]
    parts = {part["bom-ref"]: part for part in facts["components"]}
    assert len(parts) == len(facts["components"])
    assert {part["type"] for part in (model, tool, *parts.values())} == KINDS
    assert (tool["name"], tool["version"]) == ("mcuq", __version__)
    assert (
        parts["source"]["hashes"][0]["content"] == hashlib.sha256(DIGITS.read_bytes()).hexdigest()
    )
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != ".mcuq-files"]
    hashes = {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files
    }
    assert model["hashes"][0]["content"] == hashes.pop("mcuq_model.npz")
    assert hashes == {
        part["name"]: part["hashes"][0]["content"]
        for part in parts.values()
        if part["type"] == "file"
    }
    assert facts["dependencies"] == [{"ref": "model", "dependsOn": list(parts)}]


def test_it_says_the_options(folder: Path) -> None:
    properties = json.loads(bill(folder))["metadata"]["component"]["properties"]
    assert {p["name"]: p["value"] for p in properties} == {
        "mcuq:board": "microbit",
        "mcuq:core": "cortex-m0",
        "mcuq:prefer": "balanced",
        "mcuq:effort": "fast",
        "mcuq:calibration_rows": "40",
        "mcuq:compressed": "false",
    }


def test_the_same_bytes_in_another_folder(folder: Path, tmp_path: Path) -> None:
    assert bill(written(tmp_path)) == bill(folder)


def test_other_data_is_another_bill(folder: Path, tmp_path: Path) -> None:
    first, other = json.loads(bill(folder)), json.loads(bill(written(tmp_path, seed=4)))
    assert first["serialNumber"] != other["serialNumber"]
    hashes = [{p["bom-ref"]: p["hashes"] for p in facts["components"]} for facts in (first, other)]
    assert hashes[0]["vectors"] != hashes[1]["vectors"]
    assert hashes[0]["source"] == hashes[1]["source"]
