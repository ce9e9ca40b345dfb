"""chain: several functions of one value in a row, such as x * sigmoid(x) or exp(-x * x), as one.

Each of ``steps`` is the text ``[operator, reads, attributes]`` in JSON; ``reads`` are numbers, or
places: "0" is the input and "k" what the k-th step makes. The last step makes the output.

In integers it is one table (``lut``), of the whole, so nothing is rounded in between. Inputs at
which it is undefined give what the nearest do at which it is not. ``smooth_chain`` is one whose
steps all have 16 bits and no edges: in s16 it is a table of some of its values (``lut16``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mcuq.fixed import FloatArray
from mcuq.ir import Graph, Node, Shape, Tensor, rebuild, unique_name
from mcuq.ops import lut
from mcuq.ops.parts import along, forms
from mcuq.ops.spec import Bounds, Flow, OpSpec, TorchTensor
from mcuq.schema import Misfit, Reader, fields, real, several, text

MOST = 32
"""Longer chains stay several."""

Table = Mapping[str, OpSpec]


@dataclass(frozen=True)
class Step:
    """One function: ``reads`` holds numbers, and places of what it reads."""

    op: str
    reads: tuple[str | float, ...]
    attrs: Mapping[str, object]

    def node(self, name: str) -> Node:
        """It as a node, whose inputs have no names."""
        return Node(self.op, name, ("",) * len(self.reads), (name,), self.attrs)

    @property
    def written(self) -> str:
        return json.dumps([self.op, self.reads, dict(self.attrs)])


def steps_of(node: Node) -> tuple[Step, ...]:
    """The steps of a chain that is known to be right; none of another node."""
    return _parsed(tuple(node.attrs.get("steps", ())))


@lru_cache(maxsize=256)
def _parsed(written: tuple[str, ...]) -> tuple[Step, ...]:
    found = (json.loads(each) for each in written)
    return tuple(Step(op, tuple(reads), _tuples(attrs)) for op, reads, attrs in found)


def _tuples(attrs: Mapping[str, object]) -> dict[str, object]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in attrs.items()}


def apart(graph: Graph) -> Graph:
    """``graph`` with the steps of every chain as nodes of their own."""
    nodes: list[Node] = []
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        nodes += _nodes(node, tensors) if "steps" in node.attrs else [node]
    return rebuild(graph, nodes, tensors)


def _nodes(node: Node, tensors: dict[str, Tensor]) -> Iterator[Node]:
    """The steps of a chain as nodes; what they write and their numbers are added to ``tensors``."""
    shape, steps = tensors[node.output].shape, steps_of(node)
    names = [node.inputs[0]]
    for index, step in enumerate(steps, 1):
        reads = []
        for each in step.reads:
            if isinstance(each, str):
                reads.append(names[int(each)])
                continue
            reads.append(unique_name(tensors, f"{node.output}.number"))
            data = np.full((1,) * len(shape), each, np.float32)
            tensors[reads[-1]] = Tensor(reads[-1], data.shape, data)
        last = index == len(steps)
        made = node.output if last else unique_name(tensors, f"{node.output}.step")
        tensors[made] = Tensor(made, shape)
        names.append(made)
        name = node.name if last else made
        yield Node(step.op, name, tuple(reads), (made,), step.attrs)


def specs(known: Sequence[OpSpec]) -> tuple[OpSpec, OpSpec]:
    """``chain`` and ``smooth_chain``, whose steps are operators ``known``."""
    table = {op.name: op for op in known if op.flow is Flow.POINTWISE and op.run_float}
    chain, smooth = _spec("chain", table, False), _spec("smooth_chain", table, True)
    return lut.in_units(chain), lut.in_units(smooth)


def _spec(name: str, table: Table, smooth: bool) -> OpSpec:
    def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
        return _run(node, table, inputs[0])

    def values(node: Node, reals: FloatArray) -> FloatArray:
        return _everywhere(node, table, reals)

    return OpSpec(
        name,
        (),
        _infer,
        run_float,
        lut.by_values(values),
        flow=Flow.POINTWISE,
        bounds=lambda node: _bounds(node, table),
        keeps_sign=lambda node: _is_positive(node, table, True),
        runs_s16=smooth,
        along=along.same,
        schema=forms.in_float({"steps": _reader(table)}),
    )


def _infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The input's shape."""
    return shapes[0]


def _run(node: Node, table: Table, x: TorchTensor) -> TorchTensor:
    """The last of the values that the steps make of ``x``."""
    import torch

    made = [x]
    for step in steps_of(node):
        operands = [
            made[int(r)] if isinstance(r, str) else torch.tensor(r, dtype=x.dtype)
            for r in step.reads
        ]
        run = table[step.op].run_float
        assert run is not None
        made.append(run(step.node(node.name), operands))
    return made[-1]


def _everywhere(node: Node, table: Table, reals: FloatArray) -> FloatArray:
    """The values at rising ``reals``; where there is none, the nearest that there is."""
    import torch

    values: FloatArray = _run(node, table, torch.from_numpy(reals)).numpy()
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return np.zeros_like(values)
    nearest = np.clip(np.searchsorted(known, np.arange(len(values))), 0, len(known) - 1)
    before = np.maximum(nearest - 1, 0)
    place = np.arange(len(values))
    closer = abs(known[before] - place) < abs(known[nearest] - place)
    filled: FloatArray = values[known[np.where(closer, before, nearest)]]
    return filled


def _bounds(node: Node, table: Table) -> Bounds:
    last = steps_of(node)[-1]
    low, high = table[last.op].bounds(last.node(node.name))
    return (max(low, 0.0), high) if _is_positive(node, table, False) else (low, high)


def _is_positive(node: Node, table: Table, first: bool) -> bool:
    """Whether it is never negative, if ``first`` says so of its input."""
    signs = [first]
    for step in steps_of(node):
        made, op = step.node(node.name), table[step.op]
        reads = [signs[int(r)] if isinstance(r, str) else r >= 0 for r in step.reads]
        signs.append(op.bounds(made)[0] >= 0 or (op.keeps_sign(made) and all(reads)))
    return signs[-1]


def _reader(table: Table) -> Reader[object]:
    """Reads ``steps``: known operators with their own attributes, each after what it reads."""
    texts = several(text(), 1, MOST)

    def read(value: object, place: str) -> object:
        found = texts(value, place)
        for index, written in enumerate(found):
            _check(written, f"{place}[{index}]", index + 1, table)
        return found

    return read


def _check(written: str, place: str, known: int, table: Table) -> None:
    """Raise ``Misfit`` unless the text is a step that may read ``known`` places."""
    try:
        op, reads, attrs = json.loads(written)
        made = table[op]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Misfit(place, "a step of a chain", written) from None
    form = made.schema.float_form
    if form is None or not isinstance(reads, list) or len(reads) != form.reads[1]:
        raise Misfit(place, "a step with its operands", written)
    fields(attrs, place, form.attrs)
    places = {str(index) for index in range(known)}
    numbers = [each for each in reads if not isinstance(each, str)]
    if len(numbers) == len(reads) or not places.issuperset(set(reads) - set(numbers)):
        raise Misfit(place, "a step that reads what is known", written)
    for each in numbers:
        real()(each, place)
