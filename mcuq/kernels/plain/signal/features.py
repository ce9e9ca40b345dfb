"""The plain variants of features: any core."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from mcuq.ir import Array, Node
from mcuq.kernels.plain import weighted
from mcuq.kernels.variant import S16, Call, ConstArray, Cpu, Field, Lower, Variant
from mcuq.ops.parts import spectrum
from mcuq.qir import QGraph

_PARAMS = "mcuq_features_params"
KINDS = (("mcuq_features_s16", "s16"), ("mcuq_features_s16_s8", "s8"))
"""The plain kernels, and the kind of their output."""

Cost = Callable[[Node, QGraph, Cpu], float]


def sparse(mel: Array) -> tuple[Array, Array]:
    """(bands, 2) first bin and number of bins of each band, and their weights one after another."""
    first, counts, kept = [], [], []
    for band in mel.T:
        used = np.flatnonzero(band)
        low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
        first.append(low)
        counts.append(high - low)
        kept.append(band[low:high])
    return np.stack([first, counts], axis=1).astype(np.uint16), np.concatenate(kept)


def arrays(node: Node, qgraph: QGraph) -> tuple[ConstArray, ...]:
    """The constants in flash; twiddles and tables are there once for all steps."""
    window, mel, mix, offset, shift = (qgraph.data(name) for name in node.inputs[1:])
    bands, weights = sparse(mel)
    points = node.int("points")
    twiddles = spectrum.twiddles(points)
    made = [
        ConstArray("window", "int16_t", window, align=4),
        ConstArray(f"twiddles_{points}", "int16_t", twiddles, align=4, shared=True),
        ConstArray("bands", "uint16_t", bands),
        ConstArray("mel", "int16_t", weights if weights.size else np.zeros(1, np.int16)),
        ConstArray("log2", "uint16_t", spectrum.log_table(), shared=True),
        ConstArray("mix", "int16_t", mix),
        ConstArray("offset", "int32_t", offset),
        ConstArray("shift", "int8_t", shift),
    ]
    if node.attrs["root"]:
        made.append(ConstArray("root", "uint16_t", spectrum.root_table(), shared=True))
    return tuple(made)


def fields(node: Node, qgraph: QGraph) -> tuple[Field, ...]:
    """The members of the struct, in their order."""
    points, root = node.int("points"), bool(node.attrs["root"])
    mix = qgraph.tensor(node.inputs[3]).shape
    numbers = {
        "floor": node.int("floor"),
        "added": node.int("added"),
        "samples": qgraph.tensor(node.inputs[0]).size,
        "frames": node.int("frames"),
        "hop": node.int("hop"),
        "start": node.int("start"),
        "length": qgraph.tensor(node.inputs[1]).size,
        "log2_half": points.bit_length() - 2,
        "reflect": int(node.attrs["edge"] == "reflect"),
        "within": int(node.attrs["previous"] == "frame"),
        "x_shift": node.int("x_shift"),
        "pre": node.int("pre"),
        "dc": node.int("dc"),
        "band_count": mix[-1],
        "out_len": mix[0],
        "alone": int(len(mix) == 1),
        "out_min": node.int("out_min"),
        "out_max": node.int("out_max"),
    }
    return (
        Field("window", "window"),
        Field("twiddles", f"twiddles_{points}"),
        Field("bands", "bands"),
        Field("mel", "mel"),
        Field("log2", "log2"),
        Field("root", "root" if root else 0),
        Field("stages", 0),
        *(Field(name, name) for name in ("mix", "offset", "shift")),
        *(Field(name, value) for name, value in numbers.items()),
    )


def scratch(node: Node, qgraph: QGraph) -> int:
    """Bytes: the spectrum, and the logarithms of a frame."""
    bands = qgraph.tensor(node.inputs[3]).shape[-1]
    return 8 * (node.int("points") // 2 + 1) + 2 * bands


def lower(symbol: str) -> Lower:
    """How a node becomes a call of ``symbol``."""

    def lowered(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        x, y = node.inputs[0], node.output
        made = (fields(node, qgraph), (x,), y, arrays(node, qgraph), scratch(node, qgraph))
        return (Call(symbol, _PARAMS, *made),)

    return lowered


def parts(node: Node, qgraph: QGraph) -> tuple[float, ...]:
    """Of one frame: samples, butterflies, bins, roots, mel weights, bands, products of the rows."""
    points = node.int("points")
    length, mix = qgraph.tensor(node.inputs[1]).size, qgraph.tensor(node.inputs[3]).shape
    weights = sparse(qgraph.data(node.inputs[2]))[1].size
    butterflies = points / 4 * (math.log2(points) - 3)
    bins = points / 2
    roots = bins if node.attrs["root"] else 0
    return length, butterflies, bins, roots, weights, mix[-1], math.prod(mix)


def cost(node: Node, qgraph: QGraph, cpu: Cpu) -> float:
    """So many per sample, butterfly, bin, root, weight, band and product."""
    rates = weighted.pick(
        cpu,
        (24.0, 33.0, 30.0, 45.0, 9.0, 60.0, 5.0),
        (40.0, 75.0, 110.0, 150.0, 40.0, 190.0, 9.0),
        (28.0, 36.0, 36.0, 90.0, 12.0, 130.0, 7.0),
    )
    return of_frames(node, qgraph, rates)


def of_frames(node: Node, qgraph: QGraph, rates: Sequence[float]) -> float:
    """All frames, at so many instructions for each of ``parts``."""
    pairs = zip(parts(node, qgraph), rates, strict=True)
    return node.int("frames") * sum(number * rate for number, rate in pairs)


def variant(
    symbol: str,
    kind: str,
    cost: Cost,
    needs: frozenset[str] = frozenset(),
    lowered: Lower | None = None,
) -> Variant:
    """The kernel ``symbol``, which writes ``kind``; ``lowered``: if not as the plain ones."""

    def suits(node: Node, qgraph: QGraph) -> bool:
        return qgraph.tensor(node.output).kind == kind

    return Variant("features", symbol, lowered or lower(symbol), cost, suits, needs, kinds=S16)


VARIANTS = tuple(variant(symbol, kind, cost) for symbol, kind in KINDS)
