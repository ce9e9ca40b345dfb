"""Statistics of windows of a sensor's samples: their table, and their twins in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mcuq.errors import DataError, McuqError
from mcuq.features.recipe import FULL_SCALE
from mcuq.fixed import dequantize
from mcuq.ir import Array, Graph, Node, Port, Tensor
from mcuq.ops.signal import biquad
from mcuq.ops.signal import statistics as op
from mcuq.qir import QGraph, QTensor
from mcuq.schema import Reader, choice, real, several, whole
from mcuq.schema.tables import read_table

FRAC = 12
"""Of integer statistics, where nothing else is said: +-8 in steps of 1/4096."""

MOST_GAIN = 4
"""Coefficients of filters are smaller."""


@dataclass(frozen=True)
class Statistics:
    """``kinds`` of windows of ``frame`` samples, one every ``hop``, of each of ``channels``.

    ``full_scale``: what a sample of 32768 is; crossings are shares, whatever it is. ``sections``:
    b0, b1, b2, a1, a2 of each recursive filter that the samples go through before.
    """

    kinds: tuple[str, ...]
    frame: int
    hop: int
    channels: int = 1
    full_scale: float = 1.0
    sections: tuple[float, ...] = ()

    @property
    def count(self) -> int:
        """The numbers of a window."""
        return len(self.kinds) * self.channels

    def samples(self, windows: int) -> int:
        """The samples, of all channels, that so many windows take."""
        return (windows - 1) * self.hop + self.frame


_READERS: Mapping[str, Reader[object]] = {
    "statistics": several(choice(op.KINDS), 1, len(op.KINDS)),
    "frame": whole(2, op.LONGEST),
    "hop": whole(1, op.LONGEST),
    "channels": whole(1, 64),
    "full_scale": real(1e-30),
    "sections": several(several(real(), 6, 6), 1, biquad.MOST_SECTIONS),
}


def from_table(table: Mapping[str, object], thing: str = "features") -> Statistics:
    """What a table with the key ``statistics`` says; hop is frame, if nothing is said.

    >>> from_table({"statistics": ["mean", "rms"], "frame": 64}).hop
    64
    """
    read = read_table(table, _READERS, thing, {"frame": "Give it in samples"})
    kinds = read.pop("statistics")
    if len(set(kinds)) < len(kinds):
        raise McuqError(thing, "names a statistic twice", "Name each once")
    sections = _sections(read.pop("sections", ()), f"{thing}: sections")
    return Statistics(kinds, sections=sections, **{"hop": read["frame"], **read})


def _sections(rows: Sequence[Sequence[float]], thing: str) -> tuple[float, ...]:
    """Five numbers of each (b0, b1, b2, a0, a1, a2); a0 is 1, and it must come to rest."""
    for b0, b1, b2, a0, a1, a2 in rows:
        if a0 != 1.0:
            raise McuqError(thing, f"a0 is {a0:g}, not 1", "Divide all six numbers by it")
        if abs(a2) >= 1 or abs(a1) >= 1 + a2:
            raise McuqError(thing, f"a1 = {a1:g}, a2 = {a2:g} never come to rest", "Design it anew")
        if max(abs(b0), abs(b1), abs(b2)) >= MOST_GAIN:
            reason = f"a coefficient of {max(abs(b0), abs(b1), abs(b2)):g} is too large"
            raise McuqError(thing, reason, f"Scale b0, b1, b2 to below {MOST_GAIN}")
    return tuple(v for b0, b1, b2, _, a1, a2 in rows for v in (b0, b1, b2, a1, a2))


def filters(made: Statistics, name: str, source: str, output: str) -> Node:
    """The node that filters the samples ``source``."""
    return Node("biquad", name, (source,), (output,), {"sections": made.sections})


def node(made: Statistics, name: str, source: str, output: str, windows: int) -> Node:
    """The node that makes ``output`` of the samples ``source``."""
    attrs = {
        "frame": made.frame,
        "hop": made.hop,
        "start": 0,
        "frames": windows,
        "kinds": made.kinds,
        "gain": made.full_scale / FULL_SCALE,
    }
    return Node("statistics", name, (source,), (output,), attrs)


def statistics_int(samples: Array, made: Statistics, frac: int = FRAC) -> Array:
    """(S,) or (S, C) int16 -> (windows, K * C) int16, as the C gives it: real = q * 2**-frac."""
    rows, found = _prepared(samples, made)
    rows = _filtered_int(rows, made)
    x = QTensor("samples", (1, *rows.shape[1:]), "s16", 0)
    y = QTensor("statistics", (1, found.int("frames"), made.count), "s16", frac)
    tensors = {
        "samples": Tensor("samples", x.shape),
        "statistics": Tensor("statistics", y.shape),
    }
    ports = (Port("samples", "samples", x.shape),), (Port("statistics", "statistics", y.shape),)
    graph = Graph("statistics", *ports, (found,), tensors)
    whole_node = op.to_int(found, graph, {"samples": x, "statistics": y}, {}).node
    qgraph = QGraph("statistics", (), (), (whole_node,), {"samples": x, "statistics": y})
    result: Array = op.run_int(whole_node, qgraph, [rows])[0]
    return result


def statistics_real(samples: Array, made: Statistics, frac: int = FRAC) -> Array:
    """As ``statistics_int``, as float32: what a network should be trained on."""
    result: Array = dequantize(statistics_int(samples, made, frac), frac).astype(np.float32)
    return result


def statistics_float(samples: Array, made: Statistics) -> Array:
    """(S,) or (S, C) samples -> (windows, K * C) float64: the definition."""
    import torch

    rows, found = _prepared(samples, made)
    x = torch.from_numpy(rows.astype(np.float64))
    if made.sections:
        x = biquad.run_float(filters(made, "filters", "", ""), [x])
    result: Array = op.run_float(found, [x]).numpy()[0]
    return result


def _filtered_int(rows: Array, made: Statistics) -> Array:
    """(1, S, C) int16 behind the filters, as the C has them."""
    if not made.sections:
        return rows
    found = filters(made, "filters", "", "")
    sections = tuple(biquad.coefficient(value) for value in made.sections)
    empty = QGraph("filters", (), (), (), {})
    return biquad.run_int(found.with_attrs(sections=sections), empty, [rows])


def _prepared(samples: Array, made: Statistics) -> tuple[Array, Node]:
    """(1, S, C) int16, and the node of all of their windows."""
    rows = np.asarray(samples)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.dtype != np.int16 or rows.ndim != 2 or rows.shape[1] != made.channels:
        reason = f"{rows.dtype} of shape {rows.shape} are not int16 of {made.channels} channel(s)"
        raise DataError("samples", reason, "Give int16, (S,) or (S, channels)")
    windows = (len(rows) - made.frame) // made.hop + 1
    if windows < 1:
        reason = f"{len(rows)} samples are less than one window of {made.frame}"
        raise DataError("samples", reason, "Give more")
    return rows[None], node(made, "statistics", "samples", "statistics", windows)
