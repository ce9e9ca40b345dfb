"""ScatterElements and ScatterND with constant places: what each element takes of the updates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Refused
from mcuq.importers.nodes.call import axis_of
from mcuq.importers.standard.modern import Old
from mcuq.importers.standard.unpooled import put_back
from mcuq.ir import Array, Shape

Rewrite = Callable[[Old], list[Any] | None]
MAX_TURNS = 64
"""More updates of one place are not written out."""
REDUCTIONS = {"Sum": 0.0, "Mul": 1.0, "Max": None, "Min": None}
"""What changes nothing: None stands for the data themselves."""


def _scattered(old: Old) -> list[Any] | None:
    """A choice of the data and the updates, one behind the other; with a reduction several."""
    if old.input(0) in old.constants and old.input(2) in old.constants:
        return None
    unpooled = put_back(old)
    if unpooled is not None:
        return unpooled
    shape, places = old.kind(old.input(0)).shape, old.given(1)
    if old.node.op_type == "ScatterND":
        index = tuple(np.moveaxis(places, -1, 0))
    else:
        axis = axis_of(int(old.attribute("axis", 0)), len(shape))
        index = tuple(places if a == axis else i for a, i in enumerate(np.indices(places.shape)))
    own = np.arange(prod(shape)).reshape(shape)
    targets = own[index].reshape(-1)
    reduction = str(old.attribute("reduction", "none"))
    if reduction != "none":
        return _reduced(old, reduction, targets, shape)
    flat = old.constant(np.array([-1]), "flat")
    parts = [old.part("Reshape", [old.input(i), flat], "part") for i in (0, 2)]
    both = old.part("Concat", [part.output[0] for part in parts], "both", axis=0)
    source = own.reshape(-1)
    source[targets] = len(source) + np.arange(len(targets))
    chosen = old.constant(source.reshape(shape), "chosen")
    return [*parts, both, old.part("Gather", [both.output[0], chosen])]


def _reduced(old: Old, reduction: str, targets: Array, shape: Shape) -> list[Any]:
    """The data with one update of each place after the other, where ``targets`` says."""
    op = "Sum" if reduction == "add" else reduction.capitalize()
    if op not in REDUCTIONS:
        raise Refused(f"{old.node.op_type} with reduction {reduction}", "Use add, mul, max or min")
    idle = REDUCTIONS[op]
    turns = _turns(targets)
    if len(turns) > MAX_TURNS:
        raise Refused(f"{len(turns)} updates of one place", f"Give {MAX_TURNS} at most")
    flat = old.constant(np.array([-1]), "flat")
    updates = old.part("Reshape", [old.input(2), flat], "updates")
    if idle is None:
        nodes = [updates, old.part("Reshape", [old.input(0), flat], "data")]
        first, still = nodes[1].output[0], np.arange(prod(shape))
    else:
        nodes = [updates]
        first, still = (
            old.constant(np.array([idle], np.float32), "idle"),
            np.zeros(prod(shape), int),
        )
    both = old.part("Concat", [first, updates.output[0]], "both", axis=0)
    nodes.append(both)
    behind, value = (len(still) if idle is None else 1), old.input(0)
    for count, turn in enumerate(turns, 1):
        source = still.copy()
        source[targets[turn]] = behind + turn
        picked = [both.output[0], old.constant(source.reshape(shape), "source")]
        nodes.append(old.part("Gather", picked, "picked"))
        names = [value, nodes[-1].output[0]]
        nodes.append(old.part(op, names, "" if count == len(turns) else "reduced"))
        value = nodes[-1].output[0]
    return nodes


def _turns(targets: Array) -> list[Array]:
    """The updates in turns in which no place has two."""
    seen: Counter[int] = Counter()
    turns: list[list[int]] = []
    for number, target in enumerate(targets.tolist()):
        if seen[target] == len(turns):
            turns.append([])
        turns[seen[target]].append(number)
        seen[target] += 1
    return [np.array(turn) for turn in turns]


STANDARD: dict[str, Rewrite] = dict.fromkeys(
    ("ScatterElements", "ScatterND", "Scatter"), _scattered
)
