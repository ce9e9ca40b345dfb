"""A module as it comes: traced, imported, and its parameters found in the graph."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from mcuq import importers
from mcuq.errors import DataError, McuqError
from mcuq.importers.torch_program import Template
from mcuq.ir import Array, Graph, to_memory
from mcuq.passes import pipeline
from mcuq.train import matching
from mcuq.train.matching import Held
from mcuq.train.program import BATCH_NORM, PLACE, Evaluation, Traced, trace

ROWS = 128
"""At most so many rows of the example are looked at."""

FEWEST = 8
"""So many rows of it say what arrives at a layer, and what a weight matters."""


@dataclass(frozen=True, eq=False)
class Source:
    """``own``: a copy of the module on the processor, in training mode if it had none.

    ``rows``: of the example; ``feeds``: the same as ``ready``, the graph after all passes, reads
    them. ``state``: its numbers by name; ``neutral``: those with which BatchNorm changes nothing;
    ``held``: which constants of ``ready`` are its parameters.
    """

    own: nn.Module
    rows: tuple[Tensor, ...]
    template: Template
    program: Traced
    ready: Graph
    feeds: Mapping[str, Array]
    state: Mapping[str, Array]
    neutral: Mapping[str, Array]
    held: tuple[Held, ...]

    @classmethod
    def of(cls, module: nn.Module, example: Any) -> Source:
        """Raises ``McuqError`` for what cannot be traced or compiled."""
        rows = _rows(module, example)
        own = copy.deepcopy(module).cpu()
        if not own.training:
            own.train()
        template = Template.of(own, rows)
        importers.check(template.first)
        ready = pipeline.run(template.first.graph)
        program = trace(own, rows)
        state = {n: v.detach().numpy() for n, v in own.state_dict().items()}
        feeds = _feeds(template, ready, rows)
        neutral = _neutral(program.graph, state)
        held = matching.constants_of(template, ready, state, neutral)
        return cls(own, rows, template, program, ready, feeds, state, neutral, held)

    @property
    def enough(self) -> bool:
        """Whether the example has the rows that say something."""
        return len(self.rows[0]) >= FEWEST

    def values(self) -> Mapping[fx.Node, Tensor]:
        """What each operator of the program computes, as in eval mode, of the example."""
        place = copy.copy(self.own)
        holder = nn.Module()
        for name, constant in self.program.constants.items():
            holder.register_buffer(name, constant)
        place._modules = {**self.own._modules, PLACE: holder}
        run = Evaluation(place, self.program.graph)
        with torch.no_grad():
            run.run(*self.rows)
        return run.values


def target_of(node: Any) -> str | None:
    """The name of the parameter that ``node`` reads; None for another argument."""
    return str(node.target) if isinstance(node, fx.Node) and node.op == "get_attr" else None


def calls_of(graph: fx.Graph, target: Any) -> list[fx.Node]:
    """The calls of one operator."""
    return [n for n in graph.nodes if n.op == "call_function" and n.target == target]


def real(value: Any) -> float:
    """An argument that is a number in the program."""
    return float(value)


def _rows(module: nn.Module, example: Any) -> tuple[Tensor, ...]:
    """The example's rows; of a single one two, as BatchNorm in training needs them."""
    name = type(module).__name__
    if not isinstance(module, nn.Module):
        raise McuqError(name, "is not a torch.nn.Module", "Build the module, and pass that")
    given: Sequence[Any] = example if isinstance(example, (tuple, list)) else (example,)
    if not given or not all(isinstance(v, Tensor) and v.dim() > 0 and len(v) for v in given):
        reason = "the example is not a tensor, or a tuple of tensors, with a batch"
        raise DataError(name, reason, "Pass some typical inputs")
    if len({len(v) for v in given}) > 1:
        raise DataError(name, "the examples have different numbers of rows", "Give as many of each")
    rows = tuple(v[:ROWS].detach().cpu() for v in given)
    bad = [int(i) for v in rows for i in (~torch.isfinite(v.reshape(len(v), -1)).all(1)).nonzero()]
    if bad:
        raise DataError(name, f"row {bad[0]} of the example holds NaN or infinity")
    return tuple(v.repeat_interleave(2, 0) if len(v) == 1 else v for v in rows)


def _feeds(template: Template, ready: Graph, rows: Sequence[Tensor]) -> dict[str, Array]:
    names = [given.name for given in template.first.model.inputs]
    arrays = dict(zip(names, (v.float().numpy() for v in rows), strict=True))
    return {
        port.name: to_memory(port, ready.shape(port.tensor), arrays[port.name])
        for port in ready.inputs
    }


def _neutral(graph: fx.Graph, state: Mapping[str, Array]) -> dict[str, Array]:
    """BatchNorm that changes nothing."""
    found = {}
    for node in calls_of(graph, BATCH_NORM):
        eps = real(node.args[7])
        for argument, value in zip(node.args[1:5], (1.0, 0.0, 0.0, 1.0 - eps), strict=True):
            name = target_of(argument)
            if name is not None:
                found[name] = np.full(state[name].shape, value, np.float32)
    return found
