"""features: bands of the spectrum of overlapping frames of sound, their logarithms, cepstra.

    p[t] = |FFT(window * frame t)| ** (1 or 2)
    y[t] = offset + mix . ln(max(p[t] . mel, floor) + added)     of samples times ``gain``

Inputs: samples (1, S), window (L,), mel (points / 2 + 1, bands), mix (D, bands), or (bands,) if
each band goes alone, and offset (D,). Frame t begins at ``start + t * hop``; what lies before the
first sample and behind the last one is ``edge``: none (nothing does), zero or reflect (the samples
mirrored). Before the window, frames lose their mean (``centered``) and ``preemphasis`` times the
sample before: that of the frame, or at its first sample of the stream, or itself
(``previous = "frame"``). In integers, with fft and the tables of ``spectrum``, x s16:

    e = headroom of the frame                                 0 .. 15
    y = ((x << s) - pre * x_before - ((sum x * dc) >> 16)) << e    s = 15, or 14 if pre or dc
    v = (y * window) >> 16                                    below 2**29
    p = re**2 + im**2 of fft(v), or 2**15 * its root          below 2**62
    b = ((sum mel * p) >> 15) >> (2 e, or e for roots)        at most 2**61: sum p <= 2**60
    l = log2 of max(b, floor) + added, less 32, frac 10       s16
    y = clamp((sum mix * l + offset) >> shift, out_min, out_max)

C: mcuq_features_s16.c, mcuq_features_s16_s8.c
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mcuq.errors import ModelError
from mcuq.fixed import DTYPES, IntArray, half, round_half_up
from mcuq.ir import Array, Graph, Node, Shape
from mcuq.ops import clip
from mcuq.ops.parts import forms, spectrum
from mcuq.ops.parts.accumulate import limited
from mcuq.ops.parts.windows import SIZE_MAX
from mcuq.ops.spec import Along, Form, IntForm, OpSpec, Scaling, Schema, TorchTensor
from mcuq.qir import QGraph, QTensor, QTensors, frac_of
from mcuq.schema import Fields, choice, flag, real, whole

EDGES = ("none", "zero", "reflect")
PREVIOUS = ("stream", "frame")
MAX_FLOOR = 2**60
_DC_BITS = 16


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """(1, frames, D)."""
    return (1, node.int("frames"), shapes[4][0])


def points_fit(node: Node, shapes: Sequence[Shape]) -> bool:
    """Features need a power of two in 64..2048 as FFT length, and no longer window"""
    points = node.int("points")
    power = points & (points - 1) == 0
    return power and spectrum.MIN_POINTS <= points <= spectrum.MAX_POINTS >= shapes[1][0] <= points


def frames_fit(node: Node, shapes: Sequence[Shape]) -> bool:
    """Features need frames that lie within the samples, or edges that say what lies around them"""
    first, last = node.int("start"), frames_end(node, shapes[1][0])
    samples = math.prod(shapes[0])
    if node.attrs["edge"] == "none":
        return first >= 0 and last <= samples
    return -samples < first and last < 2 * samples - 1


def shapes_fit(node: Node, shapes: Sequence[Shape]) -> bool:
    """Features need a mel weight for each bin and band, and an offset for each feature"""
    (bins, bands), mix = shapes[2], shapes[3]
    return bins == node.int("points") // 2 + 1 and mix[-1] == bands and mix[0] == shapes[4][0]


def frames_end(node: Node, length: int) -> int:
    """The sample behind the last frame."""
    return node.int("start") + (node.int("frames") - 1) * node.int("hop") + length


def _taken(node: Node, length: int, samples: int) -> tuple[Array, Array]:
    """(frames, length) each: which sample stands there, and whether there is one."""
    starts = node.int("start") + node.int("hop") * np.arange(node.int("frames"))
    place = starts[:, None] + np.arange(length)
    inside = (place >= 0) & (place < samples)
    if node.attrs["edge"] == "reflect":
        place = np.abs(place)
        place = np.where(place < samples, place, 2 * (samples - 1) - place)
        inside = np.ones_like(inside)
    return place.clip(0, samples - 1), inside


def _before(node: Node, length: int, samples: int) -> tuple[Array, Array]:
    """As ``_taken``, of the samples before."""
    whole = node.with_attrs(start=node.int("start") - 1)
    place, inside = _taken(whole, length, samples)
    if node.attrs["previous"] == "frame":
        own, here = _taken(node, 1, samples)
        place[:, :1], inside[:, :1] = own, here
    return place, inside


def run_float(node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
    """(N, S) -> (N, frames, D)."""
    import torch

    x, window, mel, mix, offset = inputs
    x = x.reshape(len(x), -1) * node.float("gain")

    def framed(taken: tuple[Array, Array]) -> TorchTensor:
        place, inside = (torch.from_numpy(part) for part in taken)
        return x[:, place] * inside.to(x.dtype)

    frames = framed(_taken(node, len(window), x.shape[1]))
    factor = node.float("preemphasis")
    mean = frames.mean(dim=-1, keepdim=True) * (1 - factor)
    if factor:
        frames = frames - factor * framed(_before(node, len(window), x.shape[1]))
    if node.attrs["centered"]:
        frames = frames - mean
    found = torch.fft.rfft(frames * window, n=node.int("points"))
    power = found.real**2 + found.imag**2
    bands = (power.clamp_min(1e-30).sqrt() if node.attrs["root"] else power) @ mel
    logs = (bands.clamp_min(node.float("floor")) + node.float("added")).log()
    mixed = logs * mix if mix.ndim == 1 else logs @ mix.T
    return clip.clamp(mixed + offset, node.attrs["clip"])


@dataclass(frozen=True)
class Scale:
    """What the integers before the logarithm mean: ``real = unit * integer``."""

    window: Array
    mel: Array
    shift: int
    unit: float


def scale_of(node: Node, window: Array, mel: Array, frac: int) -> Scale:
    """The integers of window and mel, for samples with ``frac``."""
    points = node.int("points")
    peak, top = float(np.abs(window).max()) or 1.0, float(mel.max()) or 1.0
    shift = 14 if node.float("preemphasis") or node.attrs["centered"] else 15
    of_window = 32767 / peak
    of_mel = 32767 / top
    factor = 2.0 ** (shift - 16) * of_window * 2 / points * 2.0**frac / node.float("gain")
    power = 1 if node.attrs["root"] else 2
    unit = factor**-power * 2.0**spectrum.MEL_BITS / of_mel
    if node.attrs["root"]:
        unit *= 2.0**-spectrum.ROOT_FRAC
    return Scale(
        round_half_up(window.astype(np.float64) * of_window).astype(np.int16),
        round_half_up(mel.astype(np.float64) * of_mel).astype(np.int16),
        shift,
        unit,
    )


def to_int(node: Node, graph: Graph, acts: QTensors, weights: QTensors) -> IntForm:
    """The integer node and its five constants."""
    x, y = acts[node.inputs[0]], acts[node.output]
    window, mel, mix, offset = (graph.data(n).astype(np.float64) for n in node.inputs[1:])
    scale = scale_of(node, window, mel, frac_of(x))
    rows = _rows(mix, offset, scale.unit, y)
    if rows is None:
        reason = f"node '{node.name}': its features are too large for their logarithms"
        raise ModelError(graph.name, reason, "Scale the features down")
    parts = {"window": scale.window, "mel": scale.mel, **rows}
    kinds = {"offset": "s32", "shift": "s8"}
    constants = tuple(
        QTensor(f"{node.output}.{key}", data.shape, kind, 0, 0, data.astype(DTYPES[kind]))
        for key, data in parts.items()
        for kind in [kinds.get(key, "s16")]
    )
    low, high = clip.out_range(node.attrs["clip"], y)
    numbers = {
        "x_shift": scale.shift,
        "pre": round(node.float("preemphasis") * 2**scale.shift),
        "dc": _mean_factor(node, len(window), scale.shift),
        "floor": _whole(node.float("floor") / scale.unit),
        "added": _whole(node.float("added") / scale.unit),
        "out_min": low,
        "out_max": high,
    }
    kept = {key: node.attrs[key] for key in _PLACES}
    names = (x.name, *(c.name for c in constants))
    made = Node(node.op, node.name, names, node.outputs, {**kept, **numbers})
    return IntForm(made, constants)


def _whole(value: float) -> int:
    return int(min(max(round(value), 0), MAX_FLOOR))


def _mean_factor(node: Node, length: int, shift: int) -> int:
    if not node.attrs["centered"]:
        return 0
    return round((1 - node.float("preemphasis")) * 2.0 ** (shift + _DC_BITS) / length)


def _rows(mix: Array, offset: Array, unit: float, y: QTensor) -> dict[str, Array] | None:
    """mix, offset and shift in integers; None if 32 bits do not hold them."""
    rows = mix.reshape(len(offset), -1)
    alone = mix.ndim == 1
    steps = 2.0 ** frac_of(y)
    factor = rows * (math.log(2) / 2**spectrum.LOG_FRAC * steps)
    base = math.log(2) * spectrum.LOG_OFFSET + math.log(unit)
    constant = (offset + rows.sum(axis=1) * base) * steps + y.zero
    found = [_row(f, float(c)) for f, c in zip(factor, constant, strict=True)]
    shifts = np.array([shift for shift, _, _ in found])
    if shifts.min() < 0:
        return None
    return {
        "mix": np.array([m[0] if alone else m for _, m, _ in found]),
        "offset": np.array([add for _, _, add in found]),
        "shift": shifts,
    }


def _row(factor: Array, constant: float) -> tuple[int, Array, int]:
    """(shift, integers, offset) of one feature: the finest that cannot overflow; shift -1: none."""
    for shift in range(30, -1, -1):
        mix = round_half_up(factor * 2.0**shift)
        add = math.floor(constant * 2.0**shift + 0.5) + half(shift)
        if int(np.abs(mix).max()) <= 32767 and bounded(mix, add):
            return shift, mix, add
    return -1, round_half_up(factor * 0), 0


def bounded(mix: IntArray, add: int) -> bool:
    """Whether the sum of a row stays within 32 bits for all logarithms."""
    return int(np.abs(mix.astype(np.int64)).sum()) * 2**15 + abs(add) < 2**31


def frames_int(node: Node, window: Array, x: Array) -> tuple[IntArray, IntArray]:
    """(N, S) s16 -> (N, frames, points) below 2**29, and (N, frames) how often each was doubled."""
    samples, length = x.reshape(len(x), -1).astype(np.int64), len(window)
    place, inside = _taken(node, length, samples.shape[1])
    taken = samples[:, place] * inside
    doubled = spectrum.headroom(taken)
    y = taken << node.int("x_shift")
    if node.int("pre"):
        place, inside = _before(node, length, samples.shape[1])
        before = samples[:, place] * inside
        doubled = np.minimum(doubled, spectrum.headroom(before[..., :1]))
        y = y - node.int("pre") * before
    if node.int("dc"):
        mean = (taken.sum(axis=-1, keepdims=True) * node.int("dc")) >> _DC_BITS
        y = y - mean
    v = spectrum.halved(y << doubled[..., None], window.astype(np.int64))
    return np.pad(v, ((0, 0), (0, 0), (0, node.int("points") - length))), doubled


def bands_int(node: Node, window: Array, mel: Array, x: Array) -> IntArray:
    """(N, S) s16 -> (N, frames, bands): what the logarithms are taken of, at least 1."""
    v, doubled = frames_int(node, window, x)
    power = spectrum.powers(v)
    if node.attrs["root"]:
        power = spectrum.roots(power)
    shift = doubled if node.attrs["root"] else 2 * doubled
    bands = spectrum.banded(power, mel) >> shift[..., None]
    found: IntArray = np.maximum(np.maximum(bands, node.int("floor")) + node.int("added"), 1)
    return found


def run_int(node: Node, qgraph: QGraph, inputs: Sequence[Array]) -> Array:
    """(x s16, window, mel, mix, offset, shift) -> the kind of the output."""
    x, window, mel, mix, offset, shift = inputs
    logs = spectrum.logarithms(bands_int(node, window, mel, x))
    mixed = logs * mix if mix.ndim == 1 else logs @ mix.T.astype(np.int64)
    y = (mixed + offset) >> shift.astype(np.int64)
    return limited(y, node, DTYPES[qgraph.tensor(node.output).kind])


def macs(node: Node, shapes: Sequence[Shape], output: Shape) -> int:
    """Of the window, the FFT, the squares, all weights of the bands, and the rows."""
    points = node.int("points")
    fft = 2 * points * (int(math.log2(points)) - 1) + 4 * points // 2
    return node.int("frames") * (shapes[1][0] + fft + points + math.prod(shapes[3]))


def rescaled(node: Node, factor: Array) -> Node:
    """The same of samples that are ``factor`` times as large."""
    return node.with_attrs(gain=node.float("gain") / float(factor.reshape(-1)[0]))


def along(node: Node, shapes: Sequence[Shape], index: int, axis: int) -> Along | str:
    """Frames are made of the samples under them, and of the one before if that is theirs, too."""
    if node.attrs["edge"] == "reflect":
        return "it mirrors the samples at both ends of a window"
    length, samples = shapes[1][0], shapes[0][axis]
    pre = node.attrs.get("pre", round(node.attrs.get("preemphasis", 0.0) * 2**14))
    more = int(pre > 0 and node.attrs["previous"] == "stream")

    def made(count: int) -> Node:
        return node.with_attrs(frames=count, start=more, edge="none")

    return Along(
        1,
        made,
        span=length + more,
        stride=node.int("hop"),
        before=more - node.int("start"),
        after=max(0, frames_end(node, length) - samples),
    )


def faults(node: Node, qgraph: QGraph) -> Iterator[str]:
    """Kinds, sums and tables."""
    x, window, mel, mix, offset, shift = (qgraph.tensors[n] for n in node.inputs)
    kinds = [t.kind for t in (x, window, mel, mix, offset, shift)]
    if kinds != ["s16", "s16", "s16", "s16", "s32", "s8"]:
        yield f"its data is {', '.join(kinds)}"
        return
    if qgraph.tensors[node.output].kind not in ("s8", "s16"):
        yield "its output is neither s8 nor s16"
    if int(qgraph.data(mel.name).min()) < 0:
        yield "a mel weight is negative"
    if shift.shape != offset.shape or not 0 <= int(qgraph.data(shift.name).min()) <= 30:
        yield "its shifts are not one in 0..30 for each feature"
    rows = qgraph.data(mix.name).reshape(offset.shape[0], -1)
    adds = qgraph.data(offset.name).astype(np.int64)
    if not all(bounded(row, int(add)) for row, add in zip(rows, adds, strict=True)):
        yield "its sums can overflow"
    if node.int("x_shift") != (14 if node.int("pre") or node.int("dc") else 15):
        yield "x_shift does not follow from pre and dc"
    yield from forms.in_range(node, qgraph)


_PLACES: Fields = {
    "hop": whole(1, SIZE_MAX),
    "start": whole(-SIZE_MAX, SIZE_MAX),
    "frames": whole(1, SIZE_MAX),
    "points": whole(spectrum.MIN_POINTS, spectrum.MAX_POINTS),
    "edge": choice(EDGES),
    "previous": choice(PREVIOUS),
    "root": flag,
}
_REALS: Fields = {
    "gain": real(1e-30),
    "preemphasis": real(0.0, 1.0),
    "centered": flag,
    "floor": real(0.0),
    "added": real(0.0),
}
_NUMBERS: Fields = {
    "x_shift": whole(14, 15),
    "pre": whole(0, 1 << 14),
    "dc": whole(0, 1 << 30),
    "floor": whole(0, MAX_FLOOR),
    "added": whole(0, MAX_FLOOR),
    **forms.RANGE,
}
OP = OpSpec(
    "features",
    ("STFT",),
    infer,
    run_float,
    to_int,
    run_int,
    limits=(points_fit, frames_fit, shapes_fit),
    macs=macs,
    fuse_clip=clip.fuse,
    runs_s16=True,
    narrows=True,
    scaling=Scaling.ABSORBED,
    rescaled=rescaled,
    along=along,
    note="samples of 16 bits; FFT of 64 to 2048 points, mel, logarithm, DCT",
    schema=Schema(
        Form({**_PLACES, **_REALS, **forms.CLIP}, constants=4),
        Form({**_PLACES, **_NUMBERS}, constants=5),
        faults,
    ),
)
