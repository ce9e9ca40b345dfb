"""What notebooks have as data, and the arrays that it means."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from mcuq.data.batches import MOST_ROWS, gathered
from mcuq.errors import DataError

ROWS = np.arange(2 * 3 * 5, dtype=np.float32).reshape(5, 2, 3)
TENSOR = torch.from_numpy(ROWS)
LABELS = torch.arange(5)


def generator() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    yield TENSOR[:2], LABELS[:2]
    yield TENSOR[2:], LABELS[2:]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(ROWS, id="array"),
        pytest.param(TENSOR, id="tensor"),
        pytest.param(TENSOR.clone().requires_grad_(), id="with a gradient"),
        pytest.param(TENSOR.to(torch.bfloat16), id="bfloat16"),
        pytest.param(list(ROWS), id="list of arrays"),
        pytest.param(list(TENSOR), id="list of tensors"),
        pytest.param(tuple(TENSOR), id="tuple of tensors"),
        pytest.param(ROWS.tolist(), id="lists"),
        pytest.param([(row, 1) for row in TENSOR], id="with labels"),
        pytest.param(TensorDataset(TENSOR, LABELS), id="dataset"),
        pytest.param(DataLoader(TensorDataset(TENSOR, LABELS), batch_size=2), id="labelled loader"),
        pytest.param(DataLoader(TENSOR, batch_size=2), id="loader of tensors"),
        pytest.param(DataLoader(TensorDataset(TENSOR), batch_size=5), id="loader"),
        pytest.param([TENSOR[:2], TENSOR[2:]], id="batches"),
    ],
)
def test_rows_of_one_input(given: object) -> None:
    assert np.array_equal(gathered(given), ROWS)


def test_a_generator_is_read_once() -> None:
    batches = generator()
    assert np.array_equal(gathered(batches), ROWS)
    with pytest.raises(DataError, match="gives no batch"):
        gathered(batches)


@pytest.mark.parametrize(
    "given",
    [
        {"a": TENSOR, "b": ROWS},
        {"a": list(TENSOR), "b": ROWS},
        [{"a": row, "b": row} for row in TENSOR],
        DataLoader([{"a": row, "b": row} for row in TENSOR], batch_size=2),
        DataLoader([({"a": row, "b": row}, 1) for row in TENSOR], batch_size=3),
    ],
    ids=["tensors", "a list", "samples", "loader", "labelled loader"],
)
def test_dicts_by_input_name(given: object) -> None:
    found = gathered(given)
    assert isinstance(found, dict)
    assert list(found) == ["a", "b"]
    assert all(np.array_equal(values, ROWS) for values in found.values())


def test_a_loader_without_end() -> None:
    def forever() -> Iterator[np.ndarray]:
        while True:
            yield ROWS

    found = gathered(forever())
    assert isinstance(found, np.ndarray)
    assert len(found) == -(-MOST_ROWS // 5) * 5


def test_a_file_is_left_to_its_reader() -> None:
    assert gathered("data.npz") == "data.npz"
    assert gathered(Path("data.npz")) == Path("data.npz")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (7, "calibration: is a int, which holds no rows"),
        ([ROWS[0], ROWS[0].T], "its rows have different shapes"),
        ([[1.0], [1.0, 2.0]], "its rows have different shapes"),
        (iter(["a"]), "gives batches of str"),
        ([{"a": ROWS}, {"b": ROWS}], "its dicts have different names"),
        ({"a": [ROWS[0], ROWS[0].T]}, "calibration 'a': its rows have different shapes"),
    ],
)
def test_what_holds_no_rows_is_said(given: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        gathered(given)


def test_nothing_here_imports_torch() -> None:
    code = (
        "import sys, numpy; from mcuq.data.batches import gathered; gathered([numpy.ones(3)]);"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
