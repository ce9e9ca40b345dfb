"""A plain training loop, for who has none: what the examples and the measurements use."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mcuq.compress.distill import divergence
from mcuq.compress.recover import WARM_UP
from mcuq.errors import DataError, McuqError
from mcuq.importers.torch_program import short
from mcuq.progress import Progress, silent

Loss = Callable[[Any, Tensor], Tensor]
Augment = Callable[[Tensor], Tensor]


def fit(
    module: nn.Module,
    inputs: Tensor,
    labels: Tensor | None = None,
    *,
    epochs: int = 10,
    learning_rate: float = 1e-3,
    batch: int = 64,
    seed: int = 0,
    teacher: nn.Module | None = None,
    loss: Loss = nn.functional.cross_entropy,
    augment: Augment | None = None,
    report: Progress = silent,
) -> list[float]:
    """Train ``module`` in place by Adam; the mean loss of each epoch. Its rate rises quickly, then
    falls as a cosine.

    ``labels``: (N, ...) what ``loss`` compares the outputs with. ``teacher``: a network whose
    outputs, logits of classes, are to be met instead, or half of it if there are labels.
    Deterministic for ``seed``.
    Raises ``McuqError`` if there is nothing to learn from, the labels do not suit the outputs, or
    the loss is no number.
    """
    _check(inputs, labels, teacher)
    _check_numbers(epochs, batch, learning_rate)
    chance = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    descent = _Descent(module, learning_rate, epochs * math.ceil(len(inputs) / batch))
    losses = []
    for epoch in range(epochs):
        module.train()
        total = 0.0
        order = torch.randperm(len(inputs), generator=chance)
        for first in range(0, len(inputs), batch):
            rows = order[first : first + batch]
            x = inputs[rows] if augment is None else augment(inputs[rows])
            found = _loss(module, x, None if labels is None else labels[rows], teacher, loss)
            if not math.isfinite(float(found.detach())):
                reason = f"the loss is no longer a number in epoch {epoch + 1}"
                raise McuqError("training", reason, "Choose a lower learning rate")
            descent.step(found)
            total += float(found.detach()) * len(rows)
        losses.append(total / len(inputs))
        report("training", (epoch + 1) / epochs)
    module.eval()
    return losses


class _Descent:
    """Adam along gradients of limited length; its rate rises quickly, then falls as a cosine."""

    def __init__(self, module: nn.Module, learning_rate: float, steps: int) -> None:
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        self._optimizer = torch.optim.Adam(self._parameters, learning_rate)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, partial(_rate, steps))

    def step(self, loss: Tensor) -> None:
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._parameters, 10.0)
        self._optimizer.step()
        self._schedule.step()


def _rate(steps: int, step: int) -> float:
    """The share of the learning rate at ``step``.

    >>> [round(_rate(100, step), 2) for step in (0, 4, 50, 99)]
    [0.2, 0.99, 0.48, 0.0]
    """
    done = (step + 1) / steps
    return 0.5 * (1 + math.cos(math.pi * done)) * min(1.0, done / WARM_UP)


def accuracy(module: nn.Module, inputs: Tensor, labels: Tensor, batch: int = 500) -> float:
    """The share of rows whose largest output is that of the label, in eval mode."""
    _check(inputs, labels, None)
    module.eval()
    right = 0
    with torch.no_grad():
        for first in range(0, len(inputs), batch):
            rows = slice(first, first + batch)
            right += int((module(inputs[rows]).argmax(1) == labels[rows]).sum())
    return right / len(inputs)


def _check(inputs: Tensor, labels: Tensor | None, teacher: nn.Module | None) -> None:
    if not isinstance(inputs, Tensor) or not isinstance(labels, Tensor | None):
        raise DataError("training", "inputs or labels are no tensors", "Use torch.from_numpy(...)")
    if labels is None and teacher is None:
        reason = "there are neither labels nor a teacher to learn from"
        raise DataError("training", reason, "Pass labels, or the float network as teacher")
    if labels is not None and len(labels) != len(inputs):
        raise DataError("training", f"{len(labels)} labels for {len(inputs)} rows")
    if not len(inputs):
        raise DataError("training", "there are no rows to learn from")
    bad = ~torch.isfinite(inputs.reshape(len(inputs), -1)).all(1)
    if bad.any():
        raise DataError("training", f"row {int(bad.int().argmax())} holds NaN or infinity")


def _check_numbers(epochs: int, batch: int, learning_rate: float) -> None:
    if epochs < 1 or batch < 1 or not learning_rate > 0:
        reason = f"epochs {epochs}, batch {batch}, learning_rate {learning_rate:g}"
        raise McuqError("training", reason, "All of them are above 0")


def _loss(
    module: nn.Module, x: Tensor, labels: Tensor | None, teacher: nn.Module | None, loss: Loss
) -> Tensor:
    outputs = module(x)
    parts = []
    if labels is not None:
        parts.append(_compared(loss, outputs, labels, "labels"))
    if teacher is not None:
        with torch.no_grad():
            wanted = teacher(x)
        parts.append(_compared(divergence, outputs, wanted, "the teacher's outputs"))
    return torch.stack(parts).mean()


def _compared(loss: Loss, outputs: Any, wanted: Tensor, thing: str) -> Tensor:
    """The loss; what it cannot compare is refused."""
    try:
        return loss(outputs, wanted)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        reason = f"{thing} do not suit the outputs ({short(error)})"
        raise DataError("training", reason, "Pass what loss= compares with them") from error
