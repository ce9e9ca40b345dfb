"""A configuration: every table becomes a value, and all of its faults are said at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcuq.compress.request import parse as methods
from mcuq.config import Config, InputConfig, load, parse
from mcuq.errors import McuqError
from mcuq.features import RECIPES, Statistics
from mcuq.measure.limits import Limits
from mcuq.quantize.settings import QuantizeConfig
from mcuq.stream.decide import Decision

TEXT = """
[quantize]
effort = "fast"
bits = 16
[input.sound]
kind = "pcm16"
features = "mlperf_kws"
[input.tilt]
kind = "pcm16"
features = { statistics = ["mean"], frame = 64 }
[output.y]
labels = ["no", "yes"]
decide = { on = 0.8 }
[shapes]
x = [1, 3]
[state]
h = "hn"
[compress]
cluster = "4bit"
[verify]
max_flash = "64K"
"""
FAULTS = """
[quantize]
effort = "slow"
bits = 4
[input.x]
kind = "pcm16"
features = "mlperf_kw"
[output.y]
decide = { on = 0.2, off = 0.8 }
[state]
h = 1
[compress]
cluster = "3bit"
[verify]
max_flash = "many"
[more]
"""


def test_every_table_is_a_value(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(TEXT)
    found = load(path)
    assert found.quantize == QuantizeConfig(effort="fast", bits={"*": 16})
    assert found.inputs["sound"].features == RECIPES["mlperf_kws"]
    assert found.inputs["tilt"].features == Statistics(("mean",), 64, 64)
    assert found.decisions == {"y": Decision(on=0.8, off=0.8)}
    assert found.labels == {"y": ("no", "yes")}
    assert found.states == {"h": "hn"}
    assert found.shapes == {"x": (1, 3)}
    assert found.compress is not None
    assert found.compress.default == methods("cluster:4bit")
    assert found.verify == Limits(max_flash=65536)


def test_all_faults_are_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(FAULTS)
    with pytest.raises(McuqError) as caught:
        load(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(str(path)) for line in lines)
    for text in (
        "unknown key more",
        "quantize.effort = 'slow'",
        "quantize.bits is not 8 or 16",
        "input.x.features: no recipe 'mlperf_kw'. Did you mean 'mlperf_kws'",
        "output.y.decide: off = 0.8 is above on = 0.2",
        "state.h is not the name of an output",
        "compress: 'cluster:3bit' asks for other than 4 or 2 bits",
        "max_flash: 'many' is no size",
    ):
        assert sum(text in line for line in lines) == 1, text


@pytest.mark.parametrize("name", ["quantize", "compress", "verify", "input", "output", "state"])
def test_what_is_no_table_is_refused(name: str) -> None:
    with pytest.raises(McuqError, match=f"{name}.* is .*table"):
        parse({name: 3}, "c.toml")


def test_python_takes_tables_as_well() -> None:
    made = Config(
        {"x": InputConfig("pcm16", features="mlperf_kws")},
        {"effort": "best"},
        {"structured": 0.5},
        verify={"min_sqnr": 20},
    )
    assert made.inputs["x"].features == RECIPES["mlperf_kws"]
    assert made.quantize.effort == "best"
    assert made.compress is not None
    assert made.compress.default.structured == 0.5
    assert made.verify.min_sqnr == 20.0
    assert Config().compress is None


@pytest.mark.parametrize("wrong", [{"compress": "int4"}, {"verify": 3}, {"quantize": None}])
def test_what_python_gives_in_place_of_a_table_is_refused(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(McuqError, match=f"config: {name} is a .*, not a table. Give what stands"):
        Config(**wrong)


def test_features_are_a_recipe_or_a_table() -> None:
    wrong: Any = 3
    with pytest.raises(McuqError, match="features: is neither a recipe's name nor a table"):
        InputConfig("pcm16", features=wrong)
