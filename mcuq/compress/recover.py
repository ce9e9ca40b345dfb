"""Recovery: a compressed network is tuned to do again what the network before compression did.

The teacher's outputs on typical inputs are all that is needed (knowledge distillation, Hinton et
al. 2015); labels help where there are some.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcuq.compress import checkpoint as checkpoints
from mcuq.compress.augment import Augment
from mcuq.compress.constraint import Constraint
from mcuq.compress.threads import torch_threads
from mcuq.data.rows import rows_of
from mcuq.errors import DataError, McuqError
from mcuq.ir import Array, Graph
from mcuq.progress import Progress, silent
from mcuq.reference import feeds_to_float

if TYPE_CHECKING:
    from mcuq.compress.distill import Distillation
    from mcuq.compress.tuning import Forward, Student

FEWEST_ROWS = 8
PRECISIONS = ("float32", "bfloat16")
SAVE_SECONDS = 20.0
WARM_UP = 0.05
"""The share of all steps in which the rate rises from 0."""


@dataclass(frozen=True)
class Recovered:
    """The tuned ``graph``; ``losses`` on held-out rows before tuning and after each epoch.

    ``warnings``: one line each, such as that tuning stopped early because a number was no number.
    """

    graph: Graph
    losses: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """``learning_rate``: how far a number moves per step, in units of its channel's size.

    ``trust``: the weight of the labels, 0..1, against the teacher. ``held_out``: the share of rows
    that only decide which state is kept, and when to stop: after ``patience`` epochs without a
    better one (None: never). ``hints``: the weight of activations that both networks have in one
    shape. ``precision``: "float32", or "bfloat16" for layers, about twice as fast on processors
    that have it. ``normalize``: convolutions have BatchNorm meanwhile (``normalize.py``), unless
    ``quantized``: far better for images, not for a small network on few rows. ``threads``: the
    result depends on their number in its last bits.
    """

    epochs: int = 10
    seed: int = 0
    learning_rate: float = 5e-3
    batch: int = 64
    trust: float = 0.3
    hints: float = 0.0
    precision: str = "float32"
    held_out: float = 0.1
    patience: int | None = None
    quantized: bool = False
    normalize: bool = False
    augment: Augment = field(default_factory=Augment)
    threads: int = 1


def recover(
    graph: Graph,
    teacher: Graph,
    data: Mapping[str, Array],
    labels: Array | None = None,
    *,
    constraints: Mapping[str, Constraint] | None = None,
    checkpoint: Path | None = None,
    report: Progress = silent,
    settings: Settings | None = None,
) -> Recovered:
    """``graph`` with its weights and biases tuned so that its outputs are those of ``teacher``.

    ``data``: typical inputs as ``data.load`` returns them. ``labels``: (N,) classes of the first
    output. ``constraints``, by the constant's name, hold throughout. The state that does best on
    held-out rows is returned. With ``checkpoint``, a file, an interrupted run goes on from there
    and ends in the same bits; once it ended, the result is read from it. Deterministic for the
    same arguments and number of threads on the same machine.
    """
    chosen = settings or Settings()
    _check(graph, teacher, data, constraints or {}, chosen)
    with torch_threads(chosen.threads):
        run = _Run(graph, teacher, data, labels, constraints or {}, chosen)
        run.resume(checkpoint)
        run.tune(report)
        return run.result()


class _Run:
    """One run: a student, its optimizer, and the best state so far; saved and loaded as arrays."""

    def __init__(
        self,
        graph: Graph,
        teacher: Graph,
        data: Mapping[str, Array],
        labels: Array | None,
        constraints: Mapping[str, Constraint],
        settings: Settings,
    ) -> None:
        import torch

        from mcuq.compress.distill import Distillation
        from mcuq.compress.tuning import Forward, Student, typical_rows

        self.settings = settings
        self.data = dict(data)
        rows = rows_of(data)
        order = np.random.default_rng(settings.seed).permutation(rows)
        held = min(max(1, round(settings.held_out * rows)), rows - 1)
        self.held, self.fit = np.sort(order[:held]), np.sort(order[held:])
        typical = self.fit[:: -(-len(self.fit) // typical_rows(graph))]
        shown = feeds_to_float(graph, self._rows(typical))
        self.loss: Distillation = Distillation(
            graph, teacher, labels, rows, settings.trust, settings.hints
        )
        own, others = self.loss.wanted
        normalized = settings.normalize and not settings.quantized and settings.epochs > 0
        self.student: Student = Student(
            graph, own, constraints, shown, settings.quantized, normalized
        )
        self.teacher: Forward = Forward(teacher, others)
        self.optimizer = torch.optim.Adam(self.student.parameters, settings.learning_rate)
        self.step = 0
        self.batches = math.ceil(len(self.fit) / settings.batch)
        self.losses: list[float] = []
        self.best = self._state_of_parameters()
        self.failed = False
        self.file: Path | None = None
        self.saved = time.monotonic()
        self.fingerprint = _fingerprint(graph, teacher, data, labels, constraints, settings)

    def tune(self, report: Progress) -> None:
        """All epochs that are left."""
        if not self.losses:
            self.student.observe()
            self._judge()
        while not self._ended():
            report("recovering", self.step / (self.settings.epochs * self.batches))
            if not self._one_step():
                self.failed = True
            elif self.step % self.batches == 0:
                self.student.observe()
                self._judge()
                self.save()
            elif time.monotonic() - self.saved > SAVE_SECONDS:
                self.save()
        self.save()
        report("recovering", 1.0)

    def result(self) -> Recovered:
        self._load_parameters(self.best)
        self.student.observe()
        warnings = []
        if self.failed:
            warnings.append(
                f"recovery stopped in epoch {len(self.losses)}: the loss is no longer a number; "
                "the best state before is kept. Choose a lower learning rate"
            )
        return Recovered(self.student.finished(), tuple(self.losses), tuple(warnings))

    def _ended(self) -> bool:
        limit = self.settings.patience
        since = len(self.losses) - 1 - int(np.argmin(self.losses))
        done = self.step >= self.settings.epochs * self.batches
        return self.failed or done or (limit is not None and since >= limit)

    def _one_step(self) -> bool:
        """One batch; False if its loss is no number."""
        import torch

        epoch, index = divmod(self.step, self.batches)
        seed = self.settings.seed
        order = np.random.default_rng((seed, epoch)).permutation(self.fit)
        rows = order[index * self.settings.batch :][: self.settings.batch]
        chance = np.random.default_rng((seed, epoch, index))
        part = self.settings.augment(self._rows(rows), chance)
        labelled = self.settings.augment.labelled(len(rows))
        loss = self._loss(self.student.train, part, rows, labelled)
        if not math.isfinite(loss.item()):
            return False
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters, 10.0)
        self.optimizer.param_groups[0]["lr"] = self._rate()
        self.optimizer.step()
        self.step += 1
        return True

    def _rate(self) -> float:
        """Rises quickly, then falls as a cosine does."""
        done = (self.step + 1) / (self.settings.epochs * self.batches)
        fall = 0.5 * (1 + math.cos(math.pi * done))
        return self.settings.learning_rate * fall * min(1.0, done / WARM_UP)

    def _loss(
        self,
        student: Callable[[Mapping[str, Array]], Mapping[str, Any]],
        part: Mapping[str, Array],
        rows: Array,
        labelled: int,
    ) -> Any:
        import torch

        feeds = feeds_to_float(self.student.graph, part)
        low = self.settings.precision == "bfloat16"
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            with torch.no_grad():
                taught = self.teacher(feeds)
            found = student(feeds)
        return self.loss(found, taught, rows, labelled)

    def _judge(self) -> None:
        """Note the loss on held-out rows, and the state if it is the best."""
        import torch

        total = 0.0
        with torch.no_grad():
            for first in range(0, len(self.held), 256):
                rows = self.held[first : first + 256]
                total += float(
                    self._loss(self.student.run, self._rows(rows), rows, len(rows))
                ) * len(rows)
        loss = total / len(self.held)
        if not math.isfinite(loss):
            self.failed = bool(self.losses)
            loss = math.inf
        if not self.losses or loss < min(self.losses):
            self.best = self._state_of_parameters()
        self.losses.append(loss)

    def _rows(self, rows: Array) -> dict[str, Array]:
        return {name: values[rows] for name, values in self.data.items()}

    def _state_of_parameters(self) -> list[Array]:
        return [p.detach().numpy().copy() for p in self.student.parameters]

    def _load_parameters(self, arrays: list[Array]) -> None:
        import torch

        with torch.no_grad():
            for parameter, array in zip(self.student.parameters, arrays, strict=True):
                parameter.copy_(torch.from_numpy(array))

    def save(self) -> None:
        """Write the checkpoint, if one is wanted."""
        if self.file is None:
            return
        state = {"step": np.array(self.step), "losses": np.array(self.losses)}
        state |= {"failed": np.array(self.failed), "numbers": self.student.numbers}
        for index, parameter in enumerate(self.student.parameters):
            state[f"now_{index}"] = parameter.detach().numpy()
            state[f"best_{index}"] = self.best[index]
            for key, moment in self.optimizer.state.get(parameter, {}).items():
                state[f"{key}_{index}"] = moment.numpy()
        checkpoints.save(self.file, self.fingerprint, state)
        self.saved = time.monotonic()

    def resume(self, file: Path | None) -> None:
        """Go on from the checkpoint ``file``, if it exists; it is kept up to date from now on."""
        import torch

        self.file = file
        state = None if file is None else checkpoints.load(file, self.fingerprint)
        if state is None:
            return
        self.step, self.losses = int(state["step"]), state["losses"].tolist()
        self.failed, self.student.numbers = bool(state["failed"]), state["numbers"]
        count = len(self.best)
        self.best = [state[f"best_{index}"] for index in range(count)]
        self._load_parameters([state[f"now_{index}"] for index in range(count)])
        for index, parameter in enumerate(self.student.parameters):
            found = {k: state[f"{k}_{index}"] for k in _MOMENTS if f"{k}_{index}" in state}
            if found:
                self.optimizer.state[parameter] = {k: torch.from_numpy(v) for k, v in found.items()}


_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def _check(
    graph: Graph,
    teacher: Graph,
    data: Mapping[str, Array],
    constraints: Mapping[str, Constraint],
    settings: Settings,
) -> None:
    rows = rows_of(data)
    if rows < FEWEST_ROWS:
        reason = f"recovery needs typical inputs to learn from, {rows} rows are given"
        raise DataError(graph.name, reason, f"Give at least {FEWEST_ROWS}, better thousands")
    if settings.epochs < 0 or settings.batch < 1:
        raise McuqError("recovery", f"{settings.epochs} epochs of batches of {settings.batch}")
    if settings.precision not in PRECISIONS:
        reason = f"'{settings.precision}' is not one of {', '.join(PRECISIONS)}"
        raise McuqError("precision", reason)
    unknown = sorted(set(constraints) - {n for n in graph.tensors if graph.is_constant(n)})
    if unknown:
        raise McuqError(graph.name, f"has no constant '{unknown[0]}' to constrain")
    if [graph.shape(p.tensor) for p in graph.outputs] != [
        teacher.shape(p.tensor) for p in teacher.outputs
    ]:
        raise McuqError(graph.name, "has other outputs than its teacher", "Give the same network")


def _fingerprint(
    graph: Graph,
    teacher: Graph,
    data: Mapping[str, Array],
    labels: Array | None,
    constraints: Mapping[str, Constraint],
    settings: Settings,
) -> str:
    """The same for the same run."""
    state = hashlib.sha256(repr(settings).encode())
    for network in (graph, teacher):
        state.update(repr([(n.op, n.inputs, n.outputs) for n in network.nodes]).encode())
        for name, tensor in sorted(network.tensors.items()):
            if tensor.data is not None:
                state.update(name.encode() + tensor.data.tobytes())
    for name, constraint in sorted(constraints.items()):
        state.update(repr((name, constraint.kind, constraint.axis)).encode())
        for array in constraint.arrays:
            state.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    for name, values in sorted(data.items()):
        state.update(name.encode() + np.ascontiguousarray(values).tobytes())
    state.update(b"" if labels is None else np.ascontiguousarray(labels).tobytes())
    return state.hexdigest()
