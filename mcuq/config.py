"""``--config FILE.toml``: how inputs arrive, and how the network is quantized.

[quantize]
ranges = "auto"              # or { "*" = "auto", "conv1_out" = "percentile" }
bits = 16                    # of all activations, or { "*" = 8, "conv1_out" = 16 }
fracs = { "conv1_out" = 4 }  # set by hand, by tensor name

[input.image]
kind = "u8"                  # the firmware passes raw sensor bytes
mean = [123.7, 116.3, 103.5] # in byte units: real = (byte - mean) / std
std = [58.4, 57.1, 57.4]
layout = "nhwc"              # the order in which the firmware's bytes lie

[input.words]
kind = "pcm16"               # samples of sound; the network takes features of it,
features = "mlperf_kws"      # by the name of a recipe, or a table: features/table.py

[output.logits]
labels = ["cat", "dog"]      # names of the last axis, as a macro of the header
decide = { mean = 5, on = 0.8 }  # when a class begins and ends: stream/decide.py

[shapes]                     # of inputs whose sizes the model leaves open
image = [1, 3, 96, 96]

[state]                      # inputs that are an output of the call before, and that output
h = "hn"

[compress]                   # what --compress may say, and more: compress/request.py
structured = 0.5

[verify]                     # the limits of mcuq verify: flows/verify.py
max_flash = "64K"
min_sqnr = 20.0
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mcuq.errors import McuqError, closest, raise_all
from mcuq.files import read_file
from mcuq.schema import FLOAT32, from_toml, shown


@dataclass(frozen=True)
class InputConfig:
    """One ``[input.NAME]`` table; ``mean`` and ``std`` are one value or one per channel.

    ``features`` is as it stands there: see ``features/table.py``.
    """

    kind: str = "u8"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: str = "nhwc"
    features: Any = None


@dataclass(frozen=True)
class QuantizeConfig:
    """The ``[quantize]`` table. ``effort``: how many steps are tried, and for how long.

    ``ranges``: how the range of a tensor is found, one of ``RANGES``, or by tensor name with
    ``"*"`` for all others: by the expected noise at the network's output (auto), or by the
    tensor's own values (``quantize/ranges/methods.py``).
    ``fracs``: the frac of activations, by tensor name, set by the user.
    ``bits``: 8 or 16 bits of activations, by tensor name or for all others by ``"*"``.
    ``mixed``: 16 bits where they help most (``bits = "mixed"`` in the file).
    """

    effort: str = "normal"
    ranges: str | Mapping[str, str] = "auto"
    fracs: Mapping[str, int] = field(default_factory=dict)
    bits: Mapping[str, int] = field(default_factory=dict)
    mixed: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Config:
    """A configuration file; the defaults are what a missing file means.

    ``quantize`` may be given as its table, such as ``{"effort": "best"}``. ``labels``: of outputs,
    by name. ``compress``, ``verify`` and ``decisions``, by output, are as they stand there: see
    ``compress/request.py``, ``flows/verify.py`` and ``stream/decide.py``, which read them.
    """

    inputs: Mapping[str, InputConfig] = field(default_factory=dict)
    quantize: QuantizeConfig = field(default_factory=QuantizeConfig)
    compress: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    verify: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    decisions: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.quantize, QuantizeConfig):
            made = parse({"quantize": self.quantize}, "config").quantize
            object.__setattr__(self, "quantize", made)

    def with_quantize(self, thing: str, given: Mapping[str, object]) -> Config:
        """This, and in its place what is given beside it; None: not given. ``thing``: in errors."""
        table = {key: value for key, value in given.items() if value is not None}
        made = parse({"quantize": table}, thing).quantize
        names = {*table, "mixed"} if "bits" in table else table.keys()
        changes = {name: getattr(made, name) for name in names}
        return replace(self, quantize=replace(self.quantize, **changes))


EFFORTS = ("fast", "normal", "best")
RANGES = ("auto", "minmax", "percentile", "mse", "kl")
FRAC_LIMIT = 32
"""No activation has a finer or a coarser frac: 2**-32 is below what float32 adds to 1."""

_TABLES = ("input", "output", "quantize", "compress", "shapes", "verify", "state")
_INPUT_KEYS = ("kind", "mean", "std", "layout", "features")
_FULL_SCALE = 32768.0
_QUANTIZE_KEYS = tuple(item.name for item in fields(QuantizeConfig) if item.name != "mixed")
_EITHER_RANGE = " or ".join(RANGES)
_CHOICES = {
    "kind": ("u8", "pcm16"),
    "layout": ("nhwc", "nchw"),
    "effort": EFFORTS,
}


def load(path: Path) -> Config:
    """The configuration in ``path``; all of its faults at once."""
    try:
        table = from_toml(read_file(path))
    except ValueError as error:
        raise McuqError(str(path), f"is not TOML ({error})") from error
    return parse(table, str(path))


def parse(table: Mapping[str, Any], thing: str) -> Config:
    """The configuration in a table; ``thing`` names it in errors."""
    faults = _unknown(thing, "", table, _TABLES)
    inputs = _table(thing, "input", table.get("input", {}), faults)
    quantize = _table(thing, "quantize", table.get("quantize", {}), faults)
    compress = _table(thing, "compress", table.get("compress", {}), faults)
    verify = _table(thing, "verify", table.get("verify", {}), faults)
    asked = _quantize(thing, quantize, faults)
    states = _table(thing, "state", table.get("state", {}), faults)
    faults += [
        McuqError(thing, f"state.{name} is not the name of an output", 'Write such as h = "hn"')
        for name, value in states.items()
        if not isinstance(value, str)
    ]
    shapes = _shapes(thing, table.get("shapes", {}), faults)
    described = {name: _input(thing, name, value, faults) for name, value in inputs.items()}
    outputs = _table(thing, "output", table.get("output", {}), faults)
    labels = _labels(thing, outputs, faults)
    told = {n: t["decide"] for n, t in outputs.items() if isinstance(t, dict) and "decide" in t}
    raise_all(faults)
    return Config(described, asked, compress, shapes, verify, labels, states, told)


def _quantize(thing: str, table: Mapping[str, Any], faults: list[McuqError]) -> QuantizeConfig:
    faults += _unknown(thing, "quantize.", table, _QUANTIZE_KEYS)
    faults += _bad_choices(thing, "quantize.", table)
    given = dict(table)
    seed = given.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        faults.append(McuqError(thing, "quantize.seed is not a whole number >= 0"))
    for name, frac in _table(thing, "quantize.fracs", given.get("fracs", {}), faults).items():
        if not isinstance(frac, int) or isinstance(frac, bool) or abs(frac) > FRAC_LIMIT:
            reason = f"quantize.fracs.{name} is not a whole number in -{FRAC_LIMIT}..{FRAC_LIMIT}"
            faults.append(McuqError(thing, reason))
    bits = given.pop("bits", {})
    faults += _bad_bits(thing, bits)
    faults += _bad_ranges(thing, given.get("ranges", "auto"))
    if faults:
        return QuantizeConfig()
    if bits == "mixed":
        return QuantizeConfig(**given, mixed=True)
    return QuantizeConfig(**given, bits=bits if isinstance(bits, Mapping) else {"*": bits})


def _bad_bits(thing: str, bits: Any) -> list[McuqError]:
    values = bits.values() if isinstance(bits, dict) else (bits,)
    if bits == "mixed" or all(isinstance(v, int) and v in (8, 16) for v in values):
        return []
    text = "quantize.bits is not 8 or 16, mixed, or a table of these by tensor name"
    return [McuqError(thing, text)]


def _bad_ranges(thing: str, ranges: Any) -> list[McuqError]:
    where = "quantize.ranges"
    by_name = (
        {f"{where}.{name}": method for name, method in ranges.items()}
        if isinstance(ranges, dict)
        else {where: ranges}
    )
    return [
        McuqError(thing, f"{place} = {shown(method)}", f"Use {_EITHER_RANGE}")
        for place, method in by_name.items()
        if method not in RANGES
    ]


def _input(thing: str, name: str, value: Any, faults: list[McuqError]) -> InputConfig:
    where = f"input.{name}."
    table = _table(thing, f"input.{name}", value, faults)
    faults += _unknown(thing, where, table, _INPUT_KEYS) + _bad_choices(thing, where, table)
    mean = _numbers(thing, where + "mean", table.get("mean", 0.0), faults)
    kind = table.get("kind", "u8")
    usual = _FULL_SCALE if kind == "pcm16" else 1.0
    std = _numbers(thing, where + "std", table.get("std", usual), faults)
    if any(value <= 0 for value in std):
        faults.append(McuqError(thing, f"{where}std is not above 0"))
    features = table.get("features")
    faults += _misplaced(thing, where, kind, table)
    return InputConfig(kind, mean, std, table.get("layout", "nhwc"), features)


def _misplaced(
    thing: str, where: str, kind: object, table: Mapping[str, Any]
) -> Iterator[McuqError]:
    """Keys that say nothing of an input of this kind."""
    if kind != "pcm16" and "features" in table:
        yield McuqError(thing, f"{where}features are made of samples", 'Set kind = "pcm16"')
    for key in ("mean", "layout"):
        if kind == "pcm16" and key in table:
            yield McuqError(thing, f"{where}{key} says nothing of samples", "Leave it out")
    if kind == "pcm16" and "features" in table and "std" in table:
        remedy = "Say full_scale in the features"
        yield McuqError(thing, f"{where}std says nothing of features", remedy)


def _shapes(thing: str, value: Any, faults: list[McuqError]) -> dict[str, tuple[int, ...]]:
    """The shapes by input name: lists of whole numbers above 0."""
    found = {}
    for name, sizes in _table(thing, "shapes", value, faults).items():
        listed = sizes if isinstance(sizes, list) else []
        if listed and all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in listed):
            found[name] = tuple(listed)
        else:
            text = f"shapes.{name} is not a list of whole numbers above 0"
            faults.append(McuqError(thing, text, "Write such as [1, 3, 96, 96]"))
    return found


def _labels(
    thing: str, value: Mapping[str, Any], faults: list[McuqError]
) -> dict[str, tuple[str, ...]]:
    """The labels by output name: lists of texts."""
    found = {}
    for name, given in value.items():
        table = _table(thing, f"output.{name}", given, faults)
        faults += _unknown(thing, f"output.{name}.", table, ("labels", "decide"))
        listed = table.get("labels", [])
        if "labels" not in table and "decide" in table:
            continue
        if isinstance(listed, list) and all(isinstance(text, str) for text in listed):
            found[name] = tuple(listed)
        else:
            text = f"output.{name}.labels is not a list of texts"
            faults.append(McuqError(thing, text, 'Write such as ["cat", "dog"]'))
    return found


def _table(thing: str, where: str, value: Any, faults: list[McuqError]) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    faults.append(McuqError(thing, f"{where} is not a table", f"Write [{where}]"))
    return {}


def _numbers(thing: str, where: str, value: Any, faults: list[McuqError]) -> tuple[float, ...]:
    values = value if isinstance(value, list) else [value]
    if values and all(_is_number(v) for v in values):
        return tuple(float(v) for v in values)
    faults.append(McuqError(thing, f"{where} is not a number or a list of numbers"))
    return (1.0,)


def _is_number(value: Any) -> bool:
    """Whether a value is a number that float32 holds."""
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return known and abs(value) < FLOAT32


def _unknown(
    thing: str, where: str, table: Mapping[str, Any], known: Sequence[str]
) -> list[McuqError]:
    return [
        McuqError(thing, f"unknown key {where}{key}", closest(key, known))
        for key in sorted(table)
        if key not in known
    ]


def _bad_choices(thing: str, where: str, table: Mapping[str, Any]) -> list[McuqError]:
    return [
        McuqError(thing, f"{where}{key} = {shown(table[key])}", f"Use {' or '.join(allowed)}")
        for key, allowed in _CHOICES.items()
        if key in table and table[key] not in allowed
    ]
