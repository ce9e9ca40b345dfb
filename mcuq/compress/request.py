"""What is asked for: ``structured:0.5,cluster:4bit``, and other methods for some layers by name.

[compress]
structured = 0.5             # or sparse, block; nm = "2:4"; cluster = "4bit"; log, int4 = true
recover = 20                 # epochs of tuning, and more settings of it (``SETTINGS``)

[compress.layers]            # by layer name, as in a shell; the first pattern that matches
"fc*" = "block:0.8,cluster:4bit"
"stem" = "none"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from mcuq.compress.importance import MEASURES
from mcuq.compress.schedule import POWERS
from mcuq.compress.sparsity import Pattern
from mcuq.compress.structured import layers_matching
from mcuq.errors import McuqError, attempt, closest, raise_all
from mcuq.ir import Graph
from mcuq.quantize.structure import recurrent
from mcuq.schema import shown

WEIGHT_METHODS = ("sparse", "block")
CODE_METHODS = ("cluster", "log", "int4")
METHODS = ("structured", *WEIGHT_METHODS, "N:M", *CODE_METHODS, "none")
CLUSTER4_OR_EVEN = "cluster4-even"
CODES = ("cluster4", CLUSTER4_OR_EVEN, "cluster2", "log", "int4")


@dataclass(frozen=True)
class Methods:
    """What is done to a layer: the share of its channels or of the network's MACs that goes,
    the zeros, and the codes of its weights (one of ``CODES``; ``CLUSTER4_OR_EVEN`` for 16 clusters
    or, where they err about as little, an even scale, which the layer's kernel runs faster).
    """

    structured: float | None = None
    zeros: Pattern | None = None
    codes: str | None = None

    def __str__(self) -> str:
        parts = []
        if self.structured is not None:
            parts.append(f"structured:{self.structured:g}")
        if self.zeros is not None:
            nm = self.zeros.kind == "n:m"
            text = f"{self.zeros.n}:{self.zeros.m}" if nm else f"{self.zeros.amount:g}"
            parts.append(text if nm else f"{self.zeros.kind}:{text}")
        if self.codes:
            bits = self.codes.removeprefix("cluster")
            parts.append(self.codes if bits == self.codes else f"cluster:{bits[0]}bit")
        return ",".join(parts) or "none"


@dataclass(frozen=True)
class Tuning:
    """How the network recovers; ``epochs`` 0: not at all. See ``recover.Settings``.

    ``steps`` and ``schedule``: pruning goes in so many steps (``schedule.py``), with tuning after
    each; the epochs are shared evenly.
    """

    epochs: int = 0
    steps: int = 1
    schedule: str = "constant"
    learning_rate: float = 5e-3
    trust: float = 0.3
    hints: float = 0.0
    precision: str = "float32"
    normalize: bool = False
    flip: bool = False
    shift: int = 0
    mix: bool = False
    quantized: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Request:
    """``default`` for all layers but those that match a pattern of ``layers``; the first counts.

    ``scope``: whether amounts of sparse and block are of the network ("global"), so that a layer
    with more to spare loses more, or of each layer. ``importance``: of channels, see
    ``importance.py``; None: taylor with data, magnitude without.
    """

    default: Methods = field(default_factory=Methods)
    layers: tuple[tuple[str, Methods], ...] = ()
    scope: str = "layer"
    importance: str | None = None
    tuning: Tuning = field(default_factory=Tuning)

    def of_layers(self, graph: Graph) -> dict[str, Methods]:
        """The methods of every layer with weights; McuqError for a pattern without a layer, or that
        asks recurrent layers alone for more than they can do.
        """
        with_units = {node.name for node in recurrent(graph)}
        for pattern, methods in self.layers:
            if layers_matching(graph, pattern) <= with_units and (methods.zeros or methods.codes):
                reason = f"'{pattern}' is a recurrent layer, which loses whole units, no weights"
                raise McuqError(graph.name, reason, 'Ask for "structured:0.5" of it')
        return {name: self._of(name) for name in sorted(layers_matching(graph, None))}

    def names(self, layer: str) -> bool:
        """Whether a pattern, not only the default, speaks of the layer."""
        return any(fnmatchcase(layer, pattern) for pattern, _ in self.layers)

    def _of(self, layer: str) -> Methods:
        found = (m for pattern, m in self.layers if fnmatchcase(layer, pattern))
        return next(found, self.default)


_TUNING = {item.name: item.default for item in fields(Tuning) if item.name != "epochs"}
SETTINGS = ("recover", "scope", "importance", *_TUNING)
_MOST = {"seed": 2.0**63, "recover": 1e6}
_CHOICES = {
    "scope": ("layer", "global"),
    "schedule": tuple(POWERS),
    "precision": ("float32", "bfloat16"),
    "importance": MEASURES,
}
KEYS = ("structured", "sparse", "block", "nm", "cluster", "log", "int4", "layers", *SETTINGS)


def parse(text: str, thing: str = "--compress") -> Methods:
    """The methods that ``text`` lists, such as ``structured:0.5,2:4,cluster:4bit``.

    >>> str(parse("block:0.8, cluster:4bit"))
    'block:0.8,cluster:4bit'
    """
    found = Methods()
    given: list[str] = []
    for part in text.split(","):
        word = part.strip()
        changed = _method(word, thing)
        for key, value in changed.items():
            if getattr(found, key) is not None:
                reason = f"'{given[-1]}' and '{word}' exclude each other"
                raise McuqError(thing, reason, "Give one of them")
            found = replace(found, **{key: value})
        given.append(word)
    return found


def from_table(given: object, thing: str = "[compress]") -> Request:
    """The request that a ``[compress]`` table of the configuration makes; all faults at once."""
    if not isinstance(given, Mapping):
        raise McuqError(thing, "is not a table", "Write [compress]")
    table: Mapping[str, Any] = given
    faults: list[McuqError] = []
    for key in sorted(set(table) - set(KEYS)):
        faults.append(McuqError(thing, f"unknown key {key}", closest(key, KEYS)))
    default = attempt(faults, parse, ",".join(_words(table)) or "none", thing)
    layers = []
    patterns = table.get("layers", {})
    if not isinstance(patterns, Mapping):
        faults.append(McuqError(thing, "layers is not a table", "Write [compress.layers]"))
        patterns = {}
    for pattern, text in patterns.items():
        where = f"{thing} layers '{pattern}'"
        methods = attempt(faults, parse, str(text), where)
        layers.append((pattern, methods or Methods()))
    settings = {key: table[key] for key in SETTINGS if key in table}
    faults += _bad_settings(settings, thing)
    raise_all(faults)
    named = {key: settings.pop(key) for key in ("scope", "importance") if key in settings}
    if "recover" in settings:
        settings["epochs"] = settings.pop("recover")
    return Request(default or Methods(), tuple(layers), tuning=Tuning(**settings), **named)


def _method(word: str, thing: str) -> dict[str, Any]:
    """The member of ``Methods`` that one word sets."""
    name, _, value = word.partition(":")
    if re.fullmatch(r"[0-9]{1,3}:[0-9]{1,3}", word):
        return {"zeros": _n_of_m(int(name), int(value), thing)}
    if name not in METHODS or name == "N:M":
        raise McuqError(thing, f"unknown method '{name}'", closest(name, METHODS))
    if name == "structured":
        return {"structured": _share(word, value, thing)}
    if name in WEIGHT_METHODS:
        return {"zeros": Pattern(name, _share(word, value, thing))}
    if name == "cluster":
        if value not in ("", "4bit", "2bit", "4", "2"):
            raise McuqError(thing, f"'{word}' asks for other than 4 or 2 bits", "Use cluster:4bit")
        return {"codes": f"cluster{value[:1] or '4'}"}
    if value:
        raise McuqError(thing, f"'{word}': {name} takes no number", f"Write {name}")
    return {} if name == "none" else {"codes": name}


def _n_of_m(n: int, m: int, thing: str) -> Pattern:
    if not 1 <= n <= m <= 32:
        reason = f"'{n}:{m}' does not keep 1 or more of at most 32"
        raise McuqError(thing, reason, "2:4 keeps two of every four weights")
    return Pattern("n:m", 1 - n / m, n, m)


def _share(word: str, value: str, thing: str) -> float:
    name = word.partition(":")[0]
    try:
        share = float(value)
    except ValueError:
        reason = f"'{word}' lacks the share that goes, 0..1"
        raise McuqError(thing, reason, f"Write {name}:0.5") from None
    if not 0 <= share <= 1:
        reason = f"'{word}': {share:g} is outside 0..1"
        raise McuqError(thing, reason, f"{name}:0.5 removes half")
    return share


def _words(table: Mapping[str, Any]) -> Iterator[str]:
    """The methods of a table as ``parse`` reads them."""
    for key in ("structured", "sparse", "block"):
        if key in table:
            yield f"{key}:{table[key]}"
    if "nm" in table:
        yield str(table["nm"])
    if "cluster" in table:
        yield f"cluster:{table['cluster']}"
    for key in ("log", "int4"):
        if table.get(key):
            yield key


def _bad_settings(settings: Mapping[str, Any], thing: str) -> Iterator[McuqError]:
    defaults = {**_TUNING, "recover": 0}
    for key, value in settings.items():
        if key in _CHOICES:
            if value not in _CHOICES[key]:
                yield McuqError(
                    thing, f"{key} = {shown(value)}", f"Use {' or '.join(_CHOICES[key])}"
                )
            continue
        wanted = type(defaults[key])
        whole = type(value) is int and wanted is float
        if type(value) is not wanted and not whole:
            yield McuqError(thing, f"{key} = {shown(value)} is not of type {wanted.__name__}")
        elif wanted in (int, float) and not (key == "steps") <= value <= _most(key):
            low, high = int(key == "steps"), _most(key)
            yield McuqError(thing, f"{key} = {shown(value)} is not in {low}..{high:g}")


def _most(key: str) -> float:
    """The largest number of a setting; NaN is below none and so never fits."""
    return _MOST.get(key, 1000.0)
