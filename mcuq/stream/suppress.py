"""Which boxes are left behind a detector: ``[output.NAME.nms]``, or a model that ends so.

boxes = "boxes"   # the output that holds four numbers of each box
iou = 0.5         # a box that overlaps a better one of its class by more is left out
score = 0.25      # a box counts whose score of a class is above, in the output's own reals
most = 10         # so many boxes of a class, at most
center = false    # boxes are two corners; true: their center, width and height
joined = 1        # where boxes names the same output: the axis with four numbers, then the scores

``NAME`` is the output with the scores. Behind it comes another, NAME_selected, of rows
(0, class, box) in s16, both counted from 0: class by class, each by falling scores, then rows of
-1. A network that keeps no state keeps none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar, cast

import numpy as np

from mcuq.errors import McuqError, ModelError, closest
from mcuq.ir import Array, Graph, Node, Port, Shape, Suppression, Tensor, unique_name
from mcuq.ops.movement import copy
from mcuq.ops.signal import nms
from mcuq.qir import QGraph, QTensor
from mcuq.schema import Reader, flag, real, text, whole
from mcuq.schema.tables import read_table

_Any = TypeVar("_Any", Graph, QGraph)
_READERS: Mapping[str, Reader[object]] = {
    "boxes": text(least=1),
    "iou": real(0.0, 1.0),
    "score": real(),
    "most": whole(1, nms.MOST_ROWS),
    "center": flag,
    "joined": whole(1, 8),
}
_NEEDED = {
    "boxes": "Name the output that holds them",
    "iou": "Say how much boxes of a class may overlap",
    "most": "Say how many boxes of a class there are at most",
}


def from_table(given: object, thing: str) -> Suppression:
    """What a table says, but which scores it stands at; ``thing`` names it in errors."""
    if not isinstance(given, Mapping):
        raise McuqError(thing, "is not a table", 'Write such as nms = { boxes = "boxes" }')
    read = read_table(given, _READERS, thing, _NEEDED)
    return Suppression("", scores="", **read)


def wanted_of(told: Mapping[str, Suppression], graph: Graph) -> tuple[Suppression, ...]:
    """What the configuration and the model itself say, each checked against the network."""
    ports = {port.name: port for port in graph.outputs}
    named = (replace(m, name=f"{name}_selected", scores=name) for name, m in told.items())
    found = (*graph.behind, *named)
    for made in found:
        for name in (made.scores, made.boxes):
            if name not in ports:
                remedy = closest(name, ports, f"Outputs: {', '.join(ports)}")
                raise ModelError(graph.name, f"has no output '{name}'", remedy)
        _sizes(made, ports)
    return found


def _sizes(made: Suppression, ports: Mapping[str, Port]) -> tuple[Array, Array]:
    """(boxes, 4) and (boxes, classes): the place of each number among those of its output."""
    thing = f"output '{made.scores}'"
    if made.boxes == made.scores or made.joined:
        return _checked(made, *_halves(made, ports[made.scores].shape, thing), thing)
    boxes = _table(ports[made.boxes].shape, f"output '{made.boxes}'")
    if 4 not in boxes.shape:
        raise ModelError(
            f"output '{made.boxes}'", f"boxes of shape {boxes.shape} have no 4 numbers"
        )
    scores = _table(ports[made.scores].shape, thing)
    if not made.by_class and (boxes.shape == (4, 4) or len(set(scores.shape)) == 1 < len(scores)):
        reason = f"boxes of shape {boxes.shape} and scores of {scores.shape} are read in two ways"
        raise ModelError(thing, reason, "Give other numbers of boxes and classes")
    boxes = boxes if boxes.shape[1] == 4 else boxes.T
    count = len(boxes)
    if count not in scores.shape:
        raise ModelError(thing, f"scores of shape {scores.shape} are none of {count} boxes")
    scores = scores.T if made.by_class or len(scores) != count else scores
    return _checked(made, boxes, scores, thing)


def _halves(made: Suppression, shape: Shape, thing: str) -> tuple[Array, Array]:
    """The boxes and the scores of one output."""
    if made.boxes != made.scores:
        raise ModelError(thing, f"joined with '{made.boxes}', another output", "Leave out joined")
    if not 0 < made.joined < len(shape) or shape[made.joined] <= 4:
        reason = f"no axis of its shape {shape} is said that holds four numbers and then scores"
        raise ModelError(thing, reason, "Say such as joined = 1, counted from the batch, 0")
    places = np.arange(math.prod(shape)).reshape(shape)
    table = np.moveaxis(places, made.joined, -1).reshape(-1, shape[made.joined])
    return table[:, :4], table[:, 4:]


def _checked(made: Suppression, boxes: Array, scores: Array, thing: str) -> tuple[Array, Array]:
    count = len(boxes)
    rows = scores.shape[1] * min(made.most, count)
    if count > nms.MOST_BOXES or rows > nms.MOST_ROWS:
        reason = f"{count} boxes give up to {rows} rows"
        raise ModelError(thing, reason, f"Let most be lower: {nms.MOST_ROWS} at most")
    return boxes, scores


def _table(shape: Shape, thing: str) -> Array:
    """The numbers of the elements in two axes."""
    sizes = list(shape[1:])
    while len(sizes) > 2 and 1 in sizes:
        sizes.remove(1)
    if len(sizes) == 1:
        sizes.append(1)
    if len(sizes) != 2:
        raise ModelError(thing, f"its shape {shape} is no table of boxes", "Give it two axes")
    return np.arange(math.prod(sizes)).reshape(sizes)


def suppressed(network: _Any, wanted: Sequence[Suppression]) -> _Any:
    """``network``, of float or of integers, with its choices behind it."""
    for made in wanted:
        network = cast(_Any, _with(network, made))
    return replace(network, behind=()) if isinstance(network, Graph) else network


def _with(network: Graph | QGraph, made: Suppression) -> Graph | QGraph:
    ports = {port.name: port for port in network.outputs}
    tables = _sizes(made, ports)
    tensors: dict[str, Tensor | QTensor] = dict(network.tensors)
    nodes, inputs, places, steps = list(network.nodes), [], [], list[float]()
    for port, table in zip((ports[made.boxes], ports[made.scores]), tables, strict=True):
        lying = table if port.order is None else port.order[table]
        steps.append(_step(port, lying))
        name, found = _steps(nodes, tensors, port, lying)
        inputs.append(name)
        places.append(found)
    (count, classes), name = tables[1].shape, unique_name(tensors, made.name)
    attrs = {
        "iou": made.iou,
        "score": made.score,
        "boxes": count,
        "classes": classes,
        "most": min(made.most, count),
        "center": made.center,
        "box_places": places[0],
        "score_places": places[1],
    }
    node = Node("nms", name, tuple(inputs), (name,), attrs)
    shape = nms.infer(node, ())
    port = Port(made.name, name, shape)
    if isinstance(network, Graph):
        real = {n: t for n, t in tensors.items() if isinstance(t, Tensor)}
        real[name] = Tensor(name, shape)
        outputs = (*network.outputs, port)
        return replace(network, nodes=(*nodes, node), tensors=real, outputs=outputs)
    whole = {n: t for n, t in tensors.items() if isinstance(t, QTensor)}
    node = nms.in_integers(node, whole[inputs[0]], whole[inputs[1]], steps[1])
    whole[name] = QTensor(name, shape, "s16", 0, 0)
    port = replace(port, kind="s16", scale=(1.0,), offset=(0.0,))
    outputs = (*network.outputs, port)
    return replace(network, nodes=(*nodes, node), tensors=whole, outputs=outputs)


def _step(port: Port, lying: Array) -> float:
    """What a step of these integers is; 1 in a float network."""
    found = {port.scale[place % len(port.scale)] for place in lying.flat} if port.scale else {1.0}
    if port.kind not in ("s8", "s16") or len(found) > 1:
        reason = f"output '{port.name}' holds no numbers of one scale"
        raise ModelError(f"output '{port.name}'", reason, "Choose boxes by other outputs")
    return found.pop()


def _steps(
    nodes: list[Node], tensors: dict[str, Tensor | QTensor], port: Port, lying: Array
) -> tuple[str, tuple[int, int, int]]:
    """The tensor, and where numbers lie in it: first, steps of boxes and of their numbers.

    What no such steps describe is laid out in a copy.
    """
    rows, columns = lying.shape
    start = int(lying[0, 0])
    step = int(lying[1, 0]) - start if rows > 1 else 0
    apart = int(lying[0, 1]) - start if columns > 1 else 0
    same = start + np.arange(rows)[:, None] * step + np.arange(columns) * apart
    if min(step, apart) >= 0 and np.array_equal(same, lying):
        return port.tensor, (start, step, apart)
    name = unique_name(tensors, f"{port.name}.rows")
    shape = (1, rows, columns)
    loops = copy.loops(lying.reshape(-1))
    attrs = {"shape": shape, **dict(zip(("places", "sizes", "strides"), loops, strict=True))}
    nodes.append(Node("copy", name, (port.tensor,), (name,), attrs))
    tensors[name] = replace(tensors[port.tensor], name=name, shape=shape)
    return name, (0, columns, 1)
