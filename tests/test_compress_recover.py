"""Constraints and tuning: structure is kept, and accuracy comes back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mcuq.compress.constraint import Constraint

CODES = np.array([[0, 1, 1], [2, 2, 3]])
ARRAY = np.array([[0.9, -0.2, 0.4], [2.0, 3.0, -1.0]], np.float32)
CASES = {
    "mask": (
        Constraint("mask", mask=np.array([[True, False, True], [False, True, True]])),
        [[0.9, 0, 0.4], [0, 3, -1]],
    ),
    "codes": (Constraint("codes", codes=CODES), [[0.9, 0.1, 0.1], [2.5, 2.5, -1]]),
    "codes and mask": (
        Constraint("codes", CODES * 0 + np.array([1, 0, 1]) > 0, CODES),
        [[0.9, 0, 0.4], [2, 0, -1]],
    ),
    "levels": (
        Constraint("levels", levels=np.array([[0.0, 1.0, -1.0], [-1.0, 2.0, 4.0]])),
        [[1, 0, 0], [2, 2, -1]],
    ),
    "levels of columns": (
        Constraint("levels", levels=np.array([[0.0], [1.0], [2.0]]), axis=1),
        [[0, 1, 2], [0, 1, 2]],
    ),
    "levels for all": (
        Constraint("levels", levels=np.array([[-1.0, 1.0]])),
        [[1, -1, 1], [1, 1, -1]],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_projected_array_obeys(name: str) -> None:
    constraint, expected = CASES[name]
    found = constraint.project(ARRAY)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(constraint.project(found), found)


@pytest.mark.parametrize("name", CASES)
def test_the_constant_follows_from_its_free_numbers(name: str) -> None:
    constraint, expected = CASES[name]
    free = torch.from_numpy(constraint.free(ARRAY)).requires_grad_()
    value = constraint.parametrise()(free)
    np.testing.assert_allclose(value.detach().numpy(), expected, rtol=1e-6)
    value.sum().backward()
    assert free.grad is not None
    counted = np.ones(ARRAY.shape) if constraint.mask is None else constraint.mask
    assert float(free.grad.sum()) == float(np.sum(counted))
