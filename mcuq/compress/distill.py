"""What a student's outputs are compared with: its teacher's, and labels where there are some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor as TorchTensor
from torch.nn import functional

from mcuq.errors import DataError
from mcuq.ir import Array, Graph
from mcuq.quantize.structure import logits_of

TEMPERATURE = 3.0
"""Softens the classes' shares, so that the smaller ones teach, too (Hinton et al. 2015)."""


class Distillation:
    """The loss of a student with logits ``names``; ``trust``: the weight of labels, 0..1."""

    def __init__(self, graph: Graph, labels: Array | None, rows: int, trust: float) -> None:
        self.names = [logits_of(graph, port.tensor) for port in graph.outputs]
        readers = [graph.consumers(name) for name in self.names]
        self._classes = [any(n.op in ("softmax", "argmax") for n in nodes) for nodes in readers]
        self._labels = None
        self._trust = trust
        if labels is not None:
            _check_labels(graph, self.names[0], labels, rows)
            self._labels = torch.from_numpy(labels.astype("int64"))
            self._classes[0] = True

    def __call__(
        self,
        student: Mapping[str, TorchTensor],
        teacher: Sequence[TorchTensor],
        rows: TorchTensor,
    ) -> TorchTensor:
        """The mean loss of some ``rows``; ``teacher`` holds the logits by output."""
        losses = []
        for name, wanted, classes in zip(self.names, teacher, self._classes, strict=True):
            losses.append(
                _divergence(student[name], wanted) if classes else _error(student[name], wanted)
            )
        total = torch.stack(losses).mean()
        if self._labels is None:
            return total
        known = functional.cross_entropy(
            student[self.names[0]].reshape(len(rows), -1), self._labels[rows]
        )
        return self._trust * known + (1 - self._trust) * total


def _divergence(found: TorchTensor, wanted: TorchTensor) -> TorchTensor:
    """The KL divergence of softened classes, in the scale of a cross entropy."""
    classes = wanted.shape[-1]
    target = functional.log_softmax(wanted.reshape(-1, classes) / TEMPERATURE, -1)
    share = functional.log_softmax(found.reshape(-1, classes) / TEMPERATURE, -1)
    loss = functional.kl_div(share, target, reduction="batchmean", log_target=True)
    return loss * TEMPERATURE**2


def _error(found: TorchTensor, wanted: TorchTensor) -> TorchTensor:
    """The squared error as a share of the teacher's variance."""
    variance = wanted.var(unbiased=False).clamp(min=1e-12)
    return functional.mse_loss(found, wanted) / variance


def _check_labels(graph: Graph, name: str, labels: Array, rows: int) -> None:
    if len(labels) != rows:
        raise DataError("labels", f"{len(labels)} labels for {rows} rows")
    shape = graph.shape(name)
    classes = shape[-1]
    if len(shape) != 2 or classes < 2:
        reason = f"output '{graph.outputs[0].name}' does not give one value per class"
        raise DataError("labels", reason, "Recover without labels")
    if not 0 <= int(labels.min(initial=0)) <= int(labels.max(initial=0)) < classes:
        wrong = next(int(v) for v in labels if not 0 <= v < classes)
        reason = f"class {wrong} where the network has {classes} classes"
        raise DataError("labels", reason, "Number the classes from 0 as the network does")
