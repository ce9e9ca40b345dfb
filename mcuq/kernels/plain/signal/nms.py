"""The variant of nms."""

from __future__ import annotations

from mcuq.ir import Node
from mcuq.kernels.variant import S8, S16, Call, Cpu, Field, Variant
from mcuq.qir import QGraph


def _lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
    wide = [int(qgraph.tensor(name).kind == "s16") for name in node.inputs]
    numbers = ("boxes", "classes", "most", "center", "zero", "score", "iou")
    places = [
        Field(f"{key}_{what}", value)
        for key in ("box", "score")
        for what, value in zip(("start", "step", "apart"), node.ints(f"{key}_places"), strict=True)
    ]
    fields = (
        *(Field(key, node.int(key)) for key in numbers),
        *places,
        Field("wide_boxes", wide[0]),
        Field("wide_scores", wide[1]),
    )
    return (Call("mcuq_nms_s16", "mcuq_nms_params", fields, node.inputs, node.output),)


def _cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """Each row that is found looks at all scores of its class and at the boxes before it."""
    count, classes, most = (node.int(key) for key in ("boxes", "classes", "most"))
    return 50.0 + classes * (11.0 * count * (most + 1) + 60.0 * most * (most + 1) / 2)


VARIANTS = (Variant("nms", "mcuq_nms_s16", _lower, _cost, kinds=S8 | S16),)
