"""One cause, one message: what many faults of a model come down to.

1. An unrolled LSTM or GRU, as Keras exports it, is dozens of Slices, Splits and Gathers that no
   advice of their own would help: they become one fault that names the cell.
2. The same fault of many nodes is said once, with their names and number.

A fault that has another reason stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mcuq.errors import McuqError, ModelError
from mcuq.importers.steps import Step, node_error
from mcuq.importers.suggestions import remedy_for

Faults = Sequence[tuple[Step, McuqError]]

_NAMED = 3
_SEVERAL = 5
_GATES = ("Sigmoid", "HardSigmoid")
_MOVES = frozenset(
    """
    Slice Split Gather GatherND Shape Squeeze Unsqueeze ConstantOfShape Expand ScatterND Concat
    Transpose Reshape Range Cast Tile Identity MatMul Gemm Add Mul Sub
    """.split()
)


def joined(faults: Faults, steps: Sequence[Step], model: str) -> list[McuqError]:
    """The faults of ``steps``, one for each cause."""
    cells = _cells(steps) if faults else {}
    if cells:
        inner = _before(steps, set(cells))
        follows = [s.op in _MOVES and s.name in inner for s, _ in faults]
        if any(follows):
            rest = [pair for pair, drop in zip(faults, follows, strict=True) if not drop]
            return [_recurrent(cells, model), *_alike(rest, model)]
    return _alike(faults, model)


def _recurrent(cells: Mapping[str, str], model: str) -> McuqError:
    """The one fault of an unrolled recurrent layer, at its first cell."""
    name, kind = next(iter(cells.items()))
    count = f" of {len(cells)} steps" if len(cells) > 1 else ""
    reason = f"it is part of an {kind}{count} written out in single operators"
    remedy = f"{kind} is not supported: {remedy_for(kind)[0].lower()}{remedy_for(kind)[1:]}"
    return node_error(model, name, reason, remedy)


def _alike(faults: Faults, model: str) -> list[McuqError]:
    """The faults; those of many nodes for the same reason as one."""
    groups: dict[tuple[str, str], list[tuple[Step, McuqError]]] = {}
    for step, fault in faults:
        groups.setdefault((fault.reason, fault.remedy), []).append((step, fault))
    found: list[McuqError] = []
    for (reason, remedy), group in groups.items():
        if len(group) < _SEVERAL:
            found += [fault for _, fault in group]
            continue
        names = ", ".join(f"'{step.name}'" for step, _ in group[:_NAMED])
        where = f"{model}: nodes {names} and {len(group) - _NAMED} more"
        found.append(ModelError(where, reason, remedy))
    return found


def _cells(steps: Sequence[Step]) -> dict[str, str]:
    """The nodes that write the state of a recurrent cell, and what kind of cell it is.

    LSTM: gate * state + gate * tanh(...). GRU: gate * state + (1 - gate) * tanh(...).
    """
    makers = {name: step for step in steps for name in step.outputs}
    found = {}
    for step in steps:
        products = [makers.get(name) for name in step.inputs] if step.op == "Add" else []
        if len(products) == 2 and all(p is not None and p.op == "Mul" for p in products):
            ops = [sorted(_ops(p, makers)) for p in products if p is not None]
            kind = _kind(ops[0], ops[1]) or _kind(ops[1], ops[0])
            if kind:
                found[step.name] = kind
    return found


def _ops(step: Step, makers: Mapping[str, Step]) -> list[str]:
    return [makers[name].op if name in makers else "" for name in step.inputs]


def _kind(new: Sequence[str], old: Sequence[str]) -> str:
    """The cell whose new part is a product of these operators, and whose old part is another."""
    gated = any(op in _GATES for op in old)
    if "Tanh" in new and gated and any(op in _GATES for op in new):
        return "LSTM"
    return "GRU" if "Tanh" in new and gated and "Sub" in new else ""


def _before(steps: Sequence[Step], wanted: set[str]) -> set[str]:
    """The names of the steps from which those called ``wanted`` are made, and of these."""
    names: set[str] = set()
    inner = set()
    for step in reversed(steps):
        if step.name in wanted or names.intersection(step.outputs):
            inner.add(step.name)
            names.update(step.inputs)
    return inner
