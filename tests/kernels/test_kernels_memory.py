"""Kernels touch their inputs, output, scratch, constants and the stack, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from kernel_harness import TARGETS
from memory_checker import faults
from test_kernels_levels import BATCH, cases_of, kernels

WORD = 4


@pytest.mark.emulated
@pytest.mark.parametrize("core", ["v6m", "m4", "m55"])
def test_nothing_else_is_touched(core: str, tmp_path: Path) -> None:
    cases = [case for symbol in kernels(core) for case in cases_of(symbol)]
    for first in range(0, len(cases), BATCH):
        assert faults(cases[first : first + BATCH], TARGETS[core], tmp_path) == []


@pytest.mark.emulated
def test_a_word_behind_the_weights_is_found(tmp_path: Path) -> None:
    """As the kernel reads it before it meets the exit: without the word that is there for this."""
    case = cases_of("mcuq_dense_s8_sparse4_dsp")[0]
    (call,) = case.variant.lower(case.node, case.qgraph)
    weights, *others = call.arrays
    cut = dataclasses.replace(weights, data=weights.data[:-1])
    calls = (dataclasses.replace(call, arrays=(cut, *others)),)
    variant = dataclasses.replace(case.variant, lower=lambda *_: calls)
    found = faults([dataclasses.replace(case, variant=variant)], TARGETS["m4"], tmp_path)
    assert len(found) == 1
    assert f"load of {WORD} bytes" in found[0]
    assert found[0].endswith("by run_rows, 0 behind c0_0_weights")
