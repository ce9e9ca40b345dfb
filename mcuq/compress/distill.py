"""What a student's outputs are compared with: its teacher's, and labels where there are some."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor as TorchTensor
from torch.nn import functional

from mcuq.errors import DataError
from mcuq.ir import Array, Graph
from mcuq.ops import layout_of
from mcuq.quantize.structure import are_logits, logits_of, weighted

TEMPERATURE = 3.0
"""Softens the classes' shares, so that the smaller ones teach, too (Hinton et al. 2015)."""


class Distillation:
    """The loss of a student; ``trust``: the weight of labels, 0..1.

    ``wanted`` are the names of the values that it needs of both networks: the outputs' logits,
    and, where ``hints`` is their weight, all activations that layers of both read in one shape:
    they teach more than a few logits do (Romero et al. 2015).
    """

    def __init__(
        self,
        graph: Graph,
        teacher: Graph,
        labels: Array | None,
        rows: int,
        trust: float,
        hints: float,
    ) -> None:
        self.student_logits, self.teacher_logits = (
            [logits_of(network, port.tensor) for port in network.outputs]
            for network in (graph, teacher)
        )
        self._classes = [are_logits(graph, name) for name in self.student_logits]
        self._hints = _alike(graph, teacher) if hints > 0 else ()
        self.wanted = tuple(
            (*logits, *self._hints) for logits in (self.student_logits, self.teacher_logits)
        )
        self._labels = None
        self._trust, self._weight = trust, hints
        if labels is not None:
            _check_labels(graph, self.student_logits[0], labels, rows)
            self._labels = torch.from_numpy(labels.astype("int64"))
            self._classes[0] = True

    def __call__(
        self,
        student: Mapping[str, TorchTensor],
        teacher: Mapping[str, TorchTensor],
        rows: Array,
        labelled: int,
    ) -> TorchTensor:
        """The mean loss of some ``rows``; the labels of the first ``labelled`` hold."""
        total = torch.zeros(())
        pairs = zip(self.student_logits, self.teacher_logits, self._classes, strict=True)
        for one, other, by_class in pairs:
            measure = divergence if by_class else _error
            total = total + measure(student[one], teacher[other]) / len(self._classes)
        if self._labels is not None:
            output = student[self.student_logits[0]].reshape(len(rows), -1)[:labelled]
            classes = self._labels[torch.from_numpy(rows[:labelled])]
            known = functional.cross_entropy(output, classes)
            total = self._trust * known + (1 - self._trust) * total
        for name in self._hints:
            total = total + self._weight / len(self._hints) * _error(student[name], teacher[name])
        return total


def _alike(graph: Graph, teacher: Graph) -> tuple[str, ...]:
    """The activations of one name and shape in both networks that layers with weights read."""
    inputs = {port.tensor for port in graph.inputs}
    found = dict.fromkeys(node.inputs[0] for node in weighted(graph) if layout_of(node).taps)
    return tuple(
        name
        for name in found
        if name not in inputs
        and name in teacher.tensors
        and teacher.shape(name) == graph.shape(name)
    )


def divergence(found: TorchTensor, wanted: TorchTensor) -> TorchTensor:
    """The KL divergence of softened classes, in the scale of a cross entropy."""
    classes = wanted.shape[-1]
    target = functional.log_softmax(wanted.reshape(-1, classes) / TEMPERATURE, -1)
    share = functional.log_softmax(found.reshape(-1, classes) / TEMPERATURE, -1)
    return TEMPERATURE**2 * functional.kl_div(share, target, reduction="batchmean", log_target=True)


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
