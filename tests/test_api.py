"""The Python API: what a notebook passes, and what it is told."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

import mcuq

DIGITS = Path(__file__).parents[1] / "examples" / "digits.onnx"
IMAGES = np.random.default_rng(0).uniform(0, 1, (12, 1, 8, 8)).astype(np.float32)
FAST = mcuq.Config(quantize={"effort": "fast"})


@functools.cache
def model() -> mcuq.Model:
    return mcuq.compile(DIGITS, calibration=IMAGES, config=FAST)


def test_an_unknown_preference_is_refused_at_once() -> None:
    with pytest.raises(mcuq.McuqError, match="prefer: 'fast' is not one of balanced, speed, size"):
        mcuq.compile("missing.onnx", prefer="fast")


@pytest.mark.parametrize("count", [0, -1])
def test_a_check_of_nothing_is_not_exact(count: int) -> None:
    with pytest.raises(mcuq.McuqError, match="compares nothing"):
        model().check([], vectors=count)


def test_one_board_is_a_name_too() -> None:
    with pytest.raises(mcuq.McuqError, match=r"^nucleo_f446: no such board"):
        model().check("nucleo_f446")


def test_labels_are_a_list_too() -> None:
    result = model().evaluate(IMAGES, [0] * len(IMAGES))
    assert result.samples == len(IMAGES)
    assert result.int8_top1 is not None
