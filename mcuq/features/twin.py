"""The features of sound in Python: in integers as the C computes them, and in float."""

from __future__ import annotations

import numpy as np

from mcuq.errors import DataError
from mcuq.features import node as nodes
from mcuq.features.recipe import Features
from mcuq.fixed import dequantize
from mcuq.ir import Array, Graph, Node, Port, Tensor
from mcuq.ops.signal import features as op
from mcuq.qir import QGraph, QTensor

FRAC = 8
"""Of integer features, where nothing else is said: +-128 in steps of 1/256."""


def features_int(samples: Array, made: Features, frac: int = FRAC, kind: str = "s16") -> Array:
    """(S,) or (N, S) int16 -> (frames, D) or (N, frames, D): the bits that the C gives.

    ``real = q * 2**-frac``; ``kind`` is s16 or s8. In a compiled network frac, zero and kind are
    the quantizer's.
    """
    rows = _rows(samples)
    graph = graph_of(made, rows.shape[1])
    found = graph.nodes[0]
    x = QTensor("samples", (1, rows.shape[1]), "s16", 0)
    y = QTensor("features", graph.shape("features"), kind, frac)
    form = op.to_int(found, graph, {"samples": x, "features": y}, {})
    tensors = {t.name: t for t in (x, y, *form.constants)}
    qgraph = QGraph("features", (), (), (form.node,), tensors)
    result = op.run_int(form.node, qgraph, [rows, *(c.data for c in form.constants)])  # type: ignore[list-item]
    return result if np.ndim(samples) > 1 else result[0]


def features_real(samples: Array, made: Features, frac: int = FRAC) -> Array:
    """As ``features_int``, as float32: what a network should be trained on."""
    real: Array = dequantize(features_int(samples, made, frac), frac).astype(np.float32)
    return real


def features_float(samples: Array, made: Features) -> Array:
    """(S,) or (N, S) int16 or whole numbers -> as ``features_int``, in float64."""
    import torch

    rows = _rows(samples)
    graph = graph_of(made, rows.shape[1])
    found = graph.nodes[0]
    constants = (torch.from_numpy(graph.data(n)).double() for n in found.inputs[1:])
    x = torch.from_numpy(rows.astype(np.float64))
    result: Array = op.run_float(found, [x, *constants]).numpy()
    return result if np.ndim(samples) > 1 else result[0]


def _rows(samples: Array) -> Array:
    """(N, S) int16; DataError for what are no samples."""
    rows = np.atleast_2d(np.asarray(samples))
    whole = rows.dtype.kind in "iu" or bool((rows == np.floor(rows)).all())
    if rows.ndim != 2 or not whole or (rows.size and np.abs(rows.astype(np.float64)).max() > 32768):
        reason = f"{rows.dtype} of shape {rows.shape} are no samples of 16 bits"
        raise DataError("samples", reason, "Give int16, (S,) or (N, S)")
    return rows.clip(-32768, 32767).astype(np.int16)


def graph_of(made: Features, samples: int) -> Graph:
    """A network of one node: it reads ``samples`` and writes ``features``."""
    frames = made.frames(samples)
    if frames < 1:
        reason = f"{samples} samples are less than one frame of {made.frame}"
        raise DataError("samples", reason, "Give more")
    data = nodes.named(nodes.constants(made), "features")
    found: Node = nodes.node(made, "features", ("samples", *data), "features", frames)
    tensors = {name: Tensor.of(name, values) for name, values in data.items()}
    tensors["samples"] = Tensor("samples", (1, samples))
    tensors["features"] = Tensor("features", (1, frames, made.count))
    sound = Port("samples", "samples", (1, samples), kind="s16", scale=(1.0,), offset=(0.0,))
    result = Port("features", "features", (1, frames, made.count))
    return Graph("features", (sound,), (result,), (found,), tensors)
