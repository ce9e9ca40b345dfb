"""Cycles against flash: small tables of candidates, with kernels of known code size."""

from __future__ import annotations

import numpy as np
import pytest

from mcuq.kernels.variant import Call, ConstArray, Variant
from mcuq.program import choose as module
from mcuq.program.choose import Candidate, choose

CODE = {"plain": 100, "fast": 1000, "wide": 1000}


@pytest.fixture(autouse=True)
def _code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "kernel_flash", lambda symbol, core: CODE[symbol])


def candidate(symbol: str, cycles: float, constants: int) -> Candidate:
    variant = Variant("op", symbol, lambda n, g: (), lambda n, g, c: 0.0)
    array = ConstArray("w", "int8_t", np.zeros(constants, np.int8))
    call = Call(symbol, "params", (), (), "", (array,))
    return Candidate(variant, (call,), cycles, "cortex-m4")


def step(plain: float, fast: float, wide: float, weights: int) -> tuple[Candidate, ...]:
    return (
        candidate("plain", plain, weights),
        candidate("fast", fast, weights),
        candidate("wide", wide, 2 * weights),
    )


@pytest.mark.parametrize(
    ("steps", "prefer", "expected"),
    [
        # A large network: the fast kernel pays, twice the weights do not.
        ([step(9e6, 1e6, 0.9e6, 50_000)] * 2, "balanced", ["fast", "fast"]),
        ([step(9e6, 1e6, 0.9e6, 50_000)] * 2, "speed", ["wide", "wide"]),
        # Their code is 5 % of the smallest network, then 1 %, which 9 x the time is not worth.
        ([step(9e6, 1e6, 0.9e6, 8_000)] * 2, "size", ["plain", "plain"]),
        ([step(9e6, 1e6, 0.9e6, 50_000)] * 2, "size", ["fast", "fast"]),
        # The second kernel would serve one small step: its code is not worth it.
        ([step(9e6, 1e6, 2e6, 5_000), step(9e4, 3e4, 2e4, 10)], "balanced", ["fast", "fast"]),
        # No flash at stake: equals are decided by cycles.
        ([step(9.0, 1.0, 2.0, 0)], "speed", ["fast"]),
    ],
)
def test_choice(steps: list[tuple[Candidate, ...]], prefer: str, expected: list[str]) -> None:
    chosen = choose(steps, prefer)
    assert [picked.symbol for picked, _ in chosen] == expected
    assert [candidates for _, candidates in chosen] == steps
