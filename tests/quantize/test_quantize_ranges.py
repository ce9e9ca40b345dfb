"""Ranges by name: each method's choice on values of a known form."""

import numpy as np
import pytest
from small_networks import images, residual_network

from mcuq import config
from mcuq.errors import McuqError
from mcuq.qir import QTensor
from mcuq.quantize import Options, quantize
from mcuq.quantize.ranges.by_values import METHODS, best
from mcuq.quantize.ranges.candidates import candidates, middle
from mcuq.quantize.settings import RANGES


def frac_by(method: str, values: np.ndarray) -> int:
    options = candidates(float(values.min()), float(values.max()), never=False)
    return best(METHODS[method], [values], QTensor("x", (1, 4), "s8", 0), options)[0]


@pytest.mark.parametrize(
    ("method", "even", "few", "many"),
    [("percentile", 7, 7, 5), ("mse", 7, 6, 5), ("kl", 7, 7, 5)],
)
def test_outliers(method: str, even: int, few: int, many: int) -> None:
    values = np.random.default_rng(0).uniform(-0.99, 0.99, 100_000).astype(np.float32)
    assert frac_by(method, values) == even
    values[:5] = (3.0, -3.0, 3.0, -3.0, 3.0)  # 5 in 100 000
    assert frac_by(method, values) == few
    values[:200:2], values[1:200:2] = 3.0, -3.0
    assert frac_by(method, values) == many


def test_a_method_for_one_tensor() -> None:
    graph = residual_network()
    feeds = {"x": images(60)}
    feeds["x"][0, 0, 0, :2] = 6.0, -6.0
    skip = ("affine input", "equalization", "range search", "rounding")
    everywhere = quantize(graph, feeds, Options("fast", "minmax", skip=skip))
    named = quantize(graph, feeds, Options("fast", {"*": "minmax", "x": "percentile"}, skip=skip))
    fracs = [q.tensor("x").frac for q in (everywhere, named)]
    assert fracs == [4, 5]
    assert all(everywhere.tensor(n).frac == named.tensor(n).frac for n in ("total", "classes"))


@pytest.mark.parametrize("ranges", RANGES)
def test_every_method_runs(ranges: str) -> None:
    qgraph = quantize(residual_network(), {"x": images(40)}, Options("fast", ranges))
    assert qgraph.outputs[0].name == "classes"


def test_unknown_names_are_refused() -> None:
    with pytest.raises(McuqError, match="no activation 'nowhere'"):
        quantize(residual_network(), {"x": images(40)}, Options(ranges={"nowhere": "kl"}))
    with pytest.raises(McuqError, match="'best' is not one of"):
        quantize(residual_network(), {"x": images(40)}, Options(ranges={"x": "best"}))


def test_ranges_in_a_configuration() -> None:
    table = {"quantize": {"ranges": {"*": "auto", "x": "percentile"}}}
    found = config.parse(table, "c.toml").quantize
    assert found.ranges == {"*": "auto", "x": "percentile"}
    with pytest.raises(McuqError, match=r"quantize\.ranges\.x = 'most'"):
        config.parse({"quantize": {"ranges": {"x": "most"}}}, "c.toml")
    with pytest.raises(McuqError, match=r"quantize\.ranges = 'most'"):
        config.parse({"quantize": {"ranges": "most"}}, "c.toml")


def test_a_frac_by_hand_keeps_the_range_in_the_middle() -> None:
    assert middle(-1.0, 3.0, 5, False) == -32
    net = residual_network()
    feeds = {"x": images(60)}
    qgraph = quantize(net, feeds, Options("fast", fracs={"total": 3}))
    assert qgraph.tensor("total").frac == 3


def test_entropy_does_not_clip_for_the_zeros_of_a_relu() -> None:
    values = np.maximum(np.random.default_rng(0).normal(size=200_000), 0.0)
    options = [QTensor("x", (1, 1), "s8", frac, -128) for frac in range(4, 10)]
    scores = [METHODS["kl"](values, act) for act in options]
    chosen = options[int(np.argmin(scores))]
    assert chosen.frac in (5, 6)  # up to 8.0 or 4.0
    assert scores[-1] == np.inf  # up to 0.5: fewer bins than integers
