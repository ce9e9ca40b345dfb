"""The bill of materials is valid by CycloneDX's own schema."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from mcuq.config import Config
from mcuq.flows.compile import compile_model
from mcuq.model.compiled import load_compiled
from mcuq.model.sbom import sbom

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"


def bill(folder: Path) -> bytes:
    rows = np.random.default_rng(3).uniform(0, 1, (40, 1, 8, 8)).astype(np.float32)
    settings = Config(quantize={"effort": "fast"})
    made = compile_model(DIGITS, calibration=rows, board="microbit", config=settings)
    found = load_compiled(made.write(folder / "out"))
    return sbom(found.bundle, found.files, found.report)


def test_it_is_valid(tmp_path: Path) -> None:
    found = bill(tmp_path)
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(found.decode()) is None
    broken = found.decode().replace('"firmware"', '"no kind of component"')
    assert validator.validate_str(broken) is not None, "the schema is looked at"
