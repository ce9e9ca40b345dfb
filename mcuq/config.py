"""``--config FILE.toml``: how inputs arrive, and how the network is quantized.

[quantize]
ranges = "auto"              # or { "*" = "auto", "conv1_out" = "percentile" }
bits = 16                    # of all activations, or { "*" = 8, "conv1_out" = 16 }
fracs = { "conv1_out" = 4 }  # set by hand, by tensor name
grids = "kept"               # of a quantized model, instead of "fitted" anew

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
nms = { boxes = "boxes", iou = 0.5, most = 10 }  # which boxes are left: stream/suppress.py

[shapes]                     # of inputs whose sizes the model leaves open
image = [1, 3, 96, 96]

[state]                      # inputs that are an output of the call before, and that output
h = "hn"

[compress]                   # what --compress may say, and more: compress/request.py
structured = 0.5

[verify]                     # the limits of mcuq verify: measure/limits.py
max_flash = "64K"
min_sqnr = 20.0
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from mcuq.compress import request
from mcuq.compress.request import Request
from mcuq.errors import McuqError, attempt, closest, raise_all
from mcuq.features import Features, Statistics, described
from mcuq.files import read_file
from mcuq.ir import Suppression
from mcuq.measure import limits
from mcuq.measure.limits import Limits
from mcuq.quantize import settings
from mcuq.quantize.settings import QuantizeConfig
from mcuq.schema import FLOAT32, from_toml, shown
from mcuq.stream import decide, suppress
from mcuq.stream.decide import Decision

T = TypeVar("T")


@dataclass(frozen=True)
class InputConfig:
    """One ``[input.NAME]`` table; ``mean`` and ``std`` are one value or one per channel.

    ``features`` may be given as its table, or by the name of a recipe.
    """

    kind: str = "u8"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: str = "nhwc"
    features: Features | Statistics | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.features, Features | Statistics | None):
            object.__setattr__(self, "features", described(self.features, "features"))


@dataclass(frozen=True)
class Config:
    """A configuration file; the defaults are what a missing file means.

    ``quantize``, ``compress`` and ``verify`` may be given as their tables, such as
    ``{"effort": "best"}``. ``labels``, ``decisions`` and ``suppressions``: of outputs, by name.
    ``states``: the output of the call before that an input is, by its name. ``text``: the file that
    it was read from.
    """

    inputs: Mapping[str, InputConfig] = field(default_factory=dict)
    quantize: QuantizeConfig = field(default_factory=QuantizeConfig)
    compress: Request | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    verify: Limits = field(default_factory=Limits)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    suppressions: Mapping[str, Suppression] = field(default_factory=dict)
    text: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in ("quantize", "compress", "verify")}
        tables = {name: table for name, table in given.items() if isinstance(table, Mapping)}
        made = parse(tables, "config") if tables else self
        for name in tables:
            object.__setattr__(self, name, getattr(made, name))
        for name, kind in _VALUES.items():
            if not isinstance(getattr(self, name), kind):
                told = f"{name} is a {type(getattr(self, name)).__name__}, not a table"
                raise McuqError("config", told, f"Give what stands under [{name}] in a file")

    def with_quantize(self, thing: str, given: Mapping[str, object]) -> Config:
        """This, and in its place what is given beside it; None: not given. ``thing``: in errors."""
        table = {key: value for key, value in given.items() if value is not None}
        made = settings.from_table(table, thing)
        names = {*table, "mixed"} if "bits" in table else table.keys()
        changes = {name: getattr(made, name) for name in names}
        return replace(self, quantize=replace(self.quantize, **changes))


_VALUES: Mapping[str, Any] = {
    "quantize": QuantizeConfig,
    "compress": Request | None,
    "verify": Limits,
}
_TABLES = ("input", "output", "quantize", "compress", "shapes", "verify", "state")
_INPUT_KEYS = ("kind", "mean", "std", "layout", "features")
_DECIDE, _NMS = "decide nms".split()
_FULL_SCALE = 32768.0
_CHOICES = {
    "kind": ("u8", "pcm16"),
    "layout": ("nhwc", "nchw"),
}


def load(path: Path) -> Config:
    """The configuration in ``path``; all of its faults at once."""
    content = read_file(path)
    try:
        table = from_toml(content)
    except ValueError as error:
        raise McuqError(str(path), f"is not TOML ({error})") from error
    return replace(parse(table, str(path)), text=content.decode())


def parse(table: Mapping[str, Any], thing: str) -> Config:
    """The configuration in a table; ``thing`` names it in errors."""
    faults = _unknown(thing, "", table, _TABLES)
    inputs = _table(thing, "input", table.get("input", {}), faults)
    outputs = _table(thing, "output", table.get("output", {}), faults)
    asked = attempt(faults, settings.from_table, table.get("quantize", {}), thing)
    needs = attempt(faults, limits.from_table, table.get("verify", {}), thing)
    found = Config(
        inputs={name: _input(thing, name, value, faults) for name, value in inputs.items()},
        quantize=asked or QuantizeConfig(),
        compress=_request(thing, table.get("compress", {}), faults),
        shapes=_shapes(thing, table.get("shapes", {}), faults),
        verify=needs or Limits(),
        labels=_labels(thing, outputs, faults),
        states=_states(thing, table.get("state", {}), faults),
        decisions=_behind(thing, outputs, _DECIDE, decide.from_table, faults),
        suppressions=_behind(thing, outputs, _NMS, suppress.from_table, faults),
    )
    raise_all(faults)
    return found


def _request(thing: str, given: object, faults: list[McuqError]) -> Request | None:
    """The request of a table; none of an empty one."""
    told = f"{thing}: compress"
    return None if given == {} else attempt(faults, request.from_table, given, told)


def _states(thing: str, value: Any, faults: list[McuqError]) -> Mapping[str, str]:
    states = _table(thing, "state", value, faults)
    for name, output in states.items():
        if not isinstance(output, str):
            reason = f"state.{name} is not the name of an output"
            faults.append(McuqError(thing, reason, 'Write such as h = "hn"'))
    return states


def _behind(
    thing: str,
    outputs: Mapping[str, Any],
    key: str,
    read: Callable[[object, str], T],
    faults: list[McuqError],
) -> dict[str, T]:
    """What the tables of outputs say of what is behind them, by output."""
    tables = {name: t[key] for name, t in outputs.items() if isinstance(t, dict) and key in t}
    found = {
        name: attempt(faults, read, given, f"{thing}: output.{name}.{key}")
        for name, given in tables.items()
    }
    return {name: made for name, made in found.items() if made is not None}


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
    faults += _misplaced(thing, where, kind, table)
    said, told = table.get("features"), f"{thing}: {where}features"
    features = None if said is None else attempt(faults, described, said, told)
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
        faults += _unknown(thing, f"output.{name}.", table, ("labels", _DECIDE, _NMS))
        listed = table.get("labels", [])
        if "labels" not in table and (_DECIDE in table or _NMS in table):
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
    unknown = sorted(table.keys() - set(known))
    return [McuqError(thing, f"unknown key {where}{k}", closest(k, known)) for k in unknown]


def _bad_choices(thing: str, where: str, table: Mapping[str, Any]) -> list[McuqError]:
    return [
        McuqError(thing, f"{where}{key} = {shown(table[key])}", f"Use {' or '.join(allowed)}")
        for key, allowed in _CHOICES.items()
        if key in table and table[key] not in allowed
    ]
