"""Settings that fit a board: found with the least loss, or the nearest miss."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from small_networks import RELU, Net

from mcuq.compress.request import Methods
from mcuq.errors import McuqError, size_of
from mcuq.flows import fit
from mcuq.flows.fit import Budget, Fitted, Point, fit_graph
from mcuq.ir import Graph
from mcuq.targets import boards

DATA = {"x": np.random.default_rng(0).normal(0, 1, (60, 96)).astype(np.float32)}


@pytest.mark.parametrize(
    ("text", "size"), [("256K", 262144), ("1m", 1048576), ("64KiB", 65536), ("900", 900)]
)
def test_sizes(text: str, size: int) -> None:
    assert size_of(text, "--fit-ram") == size


@pytest.mark.parametrize("text", ["", "K", "0", "-5K", "1.5M", "12Q"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(McuqError, match=r"--fit-ram: '.*' is no size\. Write 256K"):
        size_of(text, "--fit-ram")


def network() -> Graph:
    net = Net((1, 96))
    hidden = net.dense("x", 64, clip=RELU)
    return net.graph(net.dense(net.dense(hidden, 32, clip=RELU), 4))


@functools.cache
def fitted(flash: int, ram: int = 1 << 20, drop: float = 100.0) -> Fitted:
    return fit_graph(network(), boards.load("mps2_an386"), Budget(flash, ram, drop), DATA)


def test_a_network_that_fits_is_left_alone() -> None:
    found = fitted(1 << 20)
    assert found.verdict.startswith("fits mps2_an386 as it is")
    assert [p.settings for p in found.points] == ["none"]
    assert found.points[0].best


def test_settings_are_found_that_fit_with_the_least_loss() -> None:
    (dense,) = fitted(1 << 20).points
    found = fitted(dense.flash - 2500)
    assert found.small is not None, found.verdict
    measured = [p for p in found.points if p.drop is not None]
    fitting = [p for p in measured if p.fits]
    assert all(p.flash <= dense.flash - 2500 for p in fitting)
    chosen = next(p for p in fitting if f"with {p.settings}:" in found.verdict)
    assert chosen.drop == min(p.drop for p in fitting if p.drop is not None)
    assert {p.settings.partition(":")[0] for p in measured} >= {"structured", "none"}
    for point in (p for p in measured if p.best):
        assert not any(
            other.flash < point.flash and other.ram <= point.ram and other.drop <= point.drop
            for other in measured
            if other.drop is not None and point.drop is not None
        )


def test_a_limit_that_cannot_be_met() -> None:
    found = fitted(500)
    assert found.small is None
    assert "500 B flash cannot be met: the nearest is " in found.verdict


def test_a_loss_that_is_too_large() -> None:
    (dense,) = fitted(1 << 20).points
    found = fitted(dense.flash - 2500, drop=-50.0)
    assert found.small is None
    assert "points or more" in found.verdict
    assert found.verdict.endswith("-50 are allowed. Tune it with --recover, or allow more")


def test_what_is_too_large_once_it_is_made_is_not_said_to_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sizes are found with a few rows, for which other channels may go."""
    dense = fitted(1 << 20).points[0]
    limit = round(0.8 * dense.flash)
    point = fit._Search._point

    def heavier(search: fit._Search, methods: Methods, small: Graph) -> Point:
        found = point(search, methods, small)
        flash = found.flash + (0.05 * dense.flash if methods in search.made else 0)
        return replace(found, flash=round(flash), fits=flash <= limit)

    monkeypatch.setattr(fit._Search, "_point", heavier)
    result = fitted(limit)
    chosen = next(p for p in result.points if f"with {p.settings}:" in result.verdict)
    assert chosen.fits
    assert chosen.flash <= limit
    assert any(p.drop is not None and not p.fits for p in result.points[1:])
