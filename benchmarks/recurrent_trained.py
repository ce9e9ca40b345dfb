"""Trained recurrent networks in integers beside float: ``python -m benchmarks.recurrent_trained``.

A GRU and an LSTM learn the spoken digits of ``fsdd`` from log-mels, and an LSTM autoencoder learns
what a normal heartbeat of ``ecg5000`` looks like; both lie in ``../shared/data``. ``digits`` is a
GRU that reads scikit-learn's digits row by row and needs nothing from there. All are seeded and
compiled by the defaults, judged on rows that neither training nor calibration has seen, and held
against the reference on an emulated Cortex-M4. GRUs also run as streams that are never reset.

    python -m benchmarks.recurrent_trained [digits] [gru] [lstm] [autoencoder]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import mcuq
from benchmarks.quality import SHARED
from benchmarks.trained import Arrays, Trained, train
from mcuq.ir import Array
from mcuq.measure.evaluate import sqnr

CORE = "cortex-m4"
ASKED = {"argmax as in float": ">= 98 %", "AUC": "<= 0.005 apart", "stream": ">= 20 dB"}
CALIBRATED, VECTORS, STREAMS, STEPS = 200, 4, 8, 2000


class Last(nn.Module):
    """A recurrent layer over (N, T, I), and scores of ten classes from its last state."""

    def __init__(self, cell: type[nn.GRU | nn.LSTM], inputs: int, hidden: int = 64) -> None:
        super().__init__()
        self.cell, self.head = cell(inputs, hidden, batch_first=True), nn.Linear(hidden, 10)
        if cell is nn.LSTM:  # it remembers from the beginning: without this it learns nothing
            nn.init.ones_(self.cell.get_parameter("bias_ih_l0")[hidden : 2 * hidden])

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.cell(x)[0][:, -1])
        return scores


class Step(nn.Module):
    """A GRU of ``Last`` a step at a time: x (1, 1, I), h (1, 1, H) -> scores, the next h."""

    def __init__(self, whole: Last) -> None:
        super().__init__()
        self.cell, self.head = whole.cell, whole.head

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        states, after = self.cell(x, h)
        return self.head(states[:, -1]), after


class Autoencoder(nn.Module):
    """(N, T, 1) -> the same, by way of the last state of an LSTM."""

    def __init__(self, steps: int, hidden: int = 32) -> None:
        super().__init__()
        self.steps = steps
        self.encoder = nn.LSTM(1, hidden, batch_first=True)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        code = self.encoder(x)[0][:, -1:]
        found: Tensor = self.head(self.decoder(code.expand(-1, self.steps, -1))[0])
        return found


@dataclass(frozen=True)
class Row:
    """A figure in words, of float and of integers where both have one, and what was asked."""

    name: str
    what: str
    exact: str
    found: str
    asked: str


def digits() -> Trained:
    """scikit-learn's digits as eight steps of eight pixels, into a small GRU."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x, y = data.images.astype(np.float32) / 8 - 1, data.target.astype(np.int64)
    make = partial(Last, nn.GRU, 8, 24)
    return train("digits", make, (x[:1300], y[:1300]), (x[1300:], y[1300:]), 15)


def fsdd(name: str, cell: type[nn.GRU | nn.LSTM]) -> Trained:
    """Spoken digits as 49 log-mels of 10 bands; two speakers of the test are new."""
    with np.load(SHARED / "data" / "fsdd.npz") as file:
        x, y, known = file["logmel"], file["y"].astype(np.int64), file["split"] == 0
    x = ((x - x[known].mean((0, 1))) / x[known].std((0, 1))).astype(np.float32)
    return train(name, partial(Last, cell, 10), (x[known], y[known]), (x[~known], y[~known]), 30)


def heartbeats() -> Trained:
    """ECG5000 into the autoencoder: trained on normal ones, 1 in the test is one that is not."""
    with np.load(SHARED / "data" / "ecg5000.npz") as file:
        x, test = (file[f"x_{part}"][..., None].astype(np.float32) for part in ("train", "test"))
        normal, odd = file["y_train"] == 0, (file["y_test"] != 0).astype(np.int64)
    fit: Arrays = (x[normal], x[normal])
    make = partial(Autoencoder, x.shape[1])
    return train("autoencoder", make, fit, (test, odd), 120, functional.mse_loss)


def cases() -> dict[str, Callable[[], Trained]]:
    """What can be measured here, by name."""
    shared: dict[str, Callable[[], Trained]] = {
        "gru": partial(fsdd, "gru", nn.GRU),
        "lstm": partial(fsdd, "lstm", nn.LSTM),
        "autoencoder": heartbeats,
    }
    return {"digits": digits, **(shared if (SHARED / "data").is_dir() else {})}


def rows(made: Trained) -> Iterator[Row]:
    """What is found out about a trained network."""
    x, y = made.test
    anomaly = isinstance(made.module, Autoencoder)
    model = mcuq.compile(
        made.module, torch.from_numpy(x[:1]), _spread(made.train[0], CALIBRATED), name=made.name
    )
    found = model.evaluate(x, y, anomaly)
    if found.anomaly:
        exact, own = found.anomaly.float_auc, found.anomaly.int8_auc
        yield Row(made.name, "AUC", f"{exact:.4f}", f"{own:.4f}", ASKED["AUC"])
    else:
        what = "argmax as in float"
        yield Row(made.name, "top-1", _percent(found.float_top1), _percent(found.int8_top1), "")
        yield Row(made.name, what, "", _percent(found.agreement), ASKED[what])
    yield Row(made.name, "SQNR of the output", "", f"{found.sqnr_db:.1f} dB", "")
    verdicts = model.check(CORE, VECTORS)
    for verdict in verdicts:
        yield Row(made.name, f"{verdict.board}, {VECTORS} sequences", "", verdict.outcome, "exact")
    if isinstance(made.module, Last) and isinstance(made.module.cell, nn.GRU):
        yield from _stream(made.name, made.module, made)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _stream(name: str, module: Last, made: Trained) -> Iterator[Row]:
    """The GRU a step at a time, over recordings that follow each other without a reset."""
    inputs, hidden = module.cell.input_size, module.cell.hidden_size
    example = torch.zeros(1, 1, inputs), torch.zeros(1, 1, hidden)
    calibration = _joined(made.train[0], STREAMS, STEPS // 4)
    model = mcuq.compile(Step(module).eval(), example, {"x": calibration}, name=f"{name}_step")
    found = model.evaluate({"x": _joined(made.test[0], STREAMS, STEPS)}).outputs[0]
    assert found.exact is not None
    assert found.found is not None
    quarters = _quarter(found.exact), _quarter(found.found)
    what = f"stream of {STEPS:,} steps, its last quarter"
    yield Row(name, what, "", f"{sqnr(*quarters):.1f} dB", ASKED["stream"])


def _quarter(values: Array) -> Array:
    """The last quarter of every stream, of (STREAMS * STEPS, columns)."""
    return values.reshape(STREAMS, STEPS, -1)[:, -STEPS // 4 :]


def _joined(recordings: Array, count: int, steps: int) -> Array:
    """(count, steps, 1, I): recordings (N, T, I) in a seeded order, one behind the other."""
    order = np.random.default_rng(0).permutation(len(recordings))
    need = -(-steps // recordings.shape[1])
    taken = recordings[np.resize(order, count * need)]
    found: Array = taken.reshape(count, -1, 1, recordings.shape[-1])[:, :steps]
    return found


def _spread(values: Array, count: int) -> Array:
    """At most ``count`` rows, taken evenly."""
    found: Array = values[np.linspace(0, len(values) - 1, min(count, len(values))).astype(int)]
    return found


def main() -> None:
    """Print the table as it comes."""
    known = cases()
    unknown = sorted(set(sys.argv[1:]) - set(known))
    if unknown:
        sys.exit(f"{', '.join(unknown)}: not known here; there are {', '.join(known)}")
    print("| network | figure | float | integers | asked |\n|---|---|--:|--:|--:|")
    for name in sys.argv[1:] or known:
        for row in rows(known[name]()):
            cells = row.name, row.what, row.exact, row.found, row.asked
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
