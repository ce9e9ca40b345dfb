"""Features from a table of a configuration, and everything that is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace

from mcuq.errors import McuqError, closest, raise_all
from mcuq.features import mel, statistics
from mcuq.features.mel import Mel
from mcuq.features.node import LOGS
from mcuq.features.recipe import RECIPES, Features
from mcuq.features.statistics import Statistics
from mcuq.features.windows import WINDOWS
from mcuq.ops.parts.spectrum import MAX_POINTS, MIN_POINTS
from mcuq.ops.signal.features import EDGES, PREVIOUS
from mcuq.schema import Reader, choice, flag, real, several, whole
from mcuq.schema.tables import read_table

_MILLISECONDS = {"frame_ms": "frame", "hop_ms": "hop"}
_BANDS = {"mels": "count", "low": "low", "high": "high", "mel_scale": "scale", "mel_norm": "norm",
          "triangles": "triangles"}  # fmt: skip
_LENGTH = whole(1, 65535)
_FRAMES: Mapping[str, Reader[object]] = {
    "rate": whole(1, 1_000_000),
    "frame": _LENGTH,
    "hop": _LENGTH,
    "frame_ms": real(0.0),
    "hop_ms": real(0.0),
    "points": _LENGTH,
    "power": whole(1, 2),
    "window": choice(WINDOWS),
    "preemphasis": real(0.0, 1.0),
    "previous": choice(PREVIOUS),
    "keep_mean": flag,
    "full_scale": real(1e-6, 1e6),  # squares and their sums stay within float32
    "edge": choice(EDGES),
}
_SPECTRUM: Mapping[str, Reader[object]] = {
    "factor": real(1e-12, 1e12),
    "mels": whole(1, 512),
    "low": real(0.0),
    "high": real(0.0),
    "mel_scale": choice(mel.SCALES),
    "mel_norm": choice(mel.NORMS),
    "triangles": choice(mel.TRIANGLES),
    "floor": real(0.0),
    "added": real(0.0),
}
_RESULT: Mapping[str, Reader[object]] = {
    "log": choice(LOGS),
    "cepstra": whole(0, 512),
    "ortho": flag,
    "scale": real(),
    "offset": real(),
    "limits": several(real(-math.inf, math.inf), 2, 2),
}
_READERS = {**_FRAMES, **_SPECTRUM, **_RESULT}


def recipe(name: str, **changes: object) -> Features:
    """The features called ``name`` (``RECIPES``), some of it changed as a table may say it.

    >>> recipe("mlperf_kws", hop_ms=10).hop
    160
    """
    return from_table({"recipe": name, **changes})


def from_table(given: object, thing: str = "features") -> Features:
    """The features that a recipe's name or a table says; ``thing`` names it in errors."""
    table = {"recipe": given} if isinstance(given, str) else given
    if not isinstance(table, Mapping):
        raise McuqError(thing, "is neither a recipe's name nor a table", _recipes())
    base = table.get("recipe", "")
    if base and base not in RECIPES:
        raise McuqError(thing, f"no recipe '{base}'", closest(str(base), RECIPES, _recipes()))
    said = {key: value for key, value in table.items() if key != "recipe"}
    read = read_table(said, _READERS, thing)
    made = _lengths(RECIPES[base] if base else Features(), read, thing)
    own = {f.name for f in fields(Features)}
    bands = {_BANDS[k]: v for k, v in read.items() if k in _BANDS}
    if "rate" in read and "high" not in read:  # bands never end beyond what the rate can hold
        bands["high"] = min(made.bands.high, made.rate / 2)
    changes = {k: v for k, v in read.items() if k in own}
    made = replace(made, **changes, bands=replace(made.bands, **bands))
    raise_all([McuqError(thing, *fault) for fault in faults(made)])
    return made


def described(given: object, thing: str) -> Features | Statistics:
    """What a recipe's name or a table describes: a spectrum, or, where it says so, statistics."""
    if isinstance(given, Mapping) and "statistics" in given:
        return statistics.from_table(given, thing)
    return from_table(given, thing)


def _recipes() -> str:
    return f"Recipes: {', '.join(RECIPES)}"


def _lengths(base: Features, read: Mapping[str, object], thing: str) -> Features:
    """``base`` with the rate, and the lengths that are said in milliseconds."""
    rate = read.get("rate", base.rate)
    assert isinstance(rate, int)
    found: dict[str, int] = {}
    for key, name in _MILLISECONDS.items():
        if key not in read:
            continue
        value = read[key]
        assert isinstance(value, float)
        samples = value * rate / 1000
        if abs(samples - round(samples)) > 1e-6 or round(samples) < 1:
            reason = f"{key} = {value:g} is {samples:g} samples at {rate} Hz"
            raise McuqError(thing, reason, f"Give {name} in samples, or a time that divides")
        found[name] = round(samples)
    frame, hop = found.get("frame", base.frame), found.get("hop", base.hop)
    return replace(base, rate=rate, frame=frame, hop=hop)


def faults(made: Features) -> Iterator[tuple[str, str]]:
    """What is wrong with features, and what to do about each."""
    points, bands = made.points, made.bands
    if points & (points - 1) or not MIN_POINTS <= points <= MAX_POINTS:
        remedy = f"Use a power of two in {MIN_POINTS}..{MAX_POINTS}"
        yield f"an FFT of {points} points is not possible", remedy
        return
    if made.frame > points:
        yield f"a frame of {made.frame} samples is longer than the FFT, {points}", "Raise points"
    if bands.high > made.rate / 2:
        reason = f"sound at {made.rate} Hz has no {bands.high:g} Hz"
        yield reason, f"Lower high to {made.rate / 2:g}, or raise rate"
    elif not bands.low < bands.high:
        yield f"its bands go from {bands.low:g} to {bands.high:g} Hz", "Give low below high"
    else:
        yield from _empty(made, bands)
    if made.cepstra > bands.count:
        yield f"{made.cepstra} cepstra of {bands.count} bands", "Lower cepstra, or raise mels"
    if not made.limits[0] < made.limits[1]:
        yield f"limits go from {made.limits[0]:g} to {made.limits[1]:g}", "Give the lower one first"
    if made.preemphasis and made.edge == "reflect":
        yield "preemphasis with an edge that is mirrored is ambiguous", 'Use edge = "none"'


def _empty(made: Features, bands: Mel) -> Iterator[tuple[str, str]]:
    empty = int((bands.matrix(made.rate, made.points).max(axis=0) <= 0).sum())
    if empty:
        reason = f"{empty} of {bands.count} bands hold no bin of {made.points} points"
        yield reason, "Take fewer mels, more points, or raise low"
