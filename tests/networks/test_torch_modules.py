"""A sample of PyTorch's modules, through both exporters, exact in C on the host."""

from __future__ import annotations

import pytest

from benchmarks.torch_modules import TABLE, outcomes

SAMPLE = list(TABLE)[::60]
"""Run ``python -m benchmarks.torch_modules`` for all of them."""


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) >= 150


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLE)
def test_a_module_of_the_table(name: str) -> None:
    found = list(outcomes([name], {}))
    assert [outcome.said for outcome in found] == ["", ""]
    assert all(outcome.exact for outcome in found)


@pytest.mark.slow
@pytest.mark.emulated
def test_a_module_on_cores() -> None:
    (found, again) = outcomes(["Upsample bicubic"], {"M0": "cortex-m0", "M55": "cortex-m55"})
    assert (found.said, again.said) == ("", "")
