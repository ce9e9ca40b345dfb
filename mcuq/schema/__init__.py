"""Reads plain values by a stated schema: of JSON, of TOML, of a node's attributes.

A ``Reader`` takes any value and the place where it stands, and gives it back checked, its lists as
tuples. What does not fit raises ``Misfit``, which names the place and what belongs there.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TypeVar

T = TypeVar("T")
Reader = Callable[[object, str], T]
Fields = Mapping[str, Reader[object]]

INT32 = 2**31 - 1
FLOAT32 = 3.5e38
MANY = 1 << 20
_SHOWN = 40


class Misfit(ValueError):
    """A value that is not what its place asks for."""

    def __init__(self, place: str, wanted: str, value: object) -> None:
        super().__init__(f"{place or 'it'} is {shown(value)}, not {wanted}")


def shown(value: object) -> str:
    """A value in a message: its beginning, or what kind of thing it is.

    >>> shown("a" * 50), shown([1, 2]), shown(None), shown({"a": 1})
    ("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...", 'a list', 'nothing', 'a table')
    """
    if value is None:
        return "nothing"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, int) and abs(value) > 2**64:
        return "a number of more than 64 bits"
    text = repr(value[: _SHOWN + 1]) if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN + 2 else f"{text[: _SHOWN - 1]}..."


def whole(low: int = -INT32 - 1, high: int = INT32) -> Reader[int]:
    """An integer in ``low..high``; true and false are none."""

    def read(value: object, place: str) -> int:
        number = int(value) if isinstance(value, Integral) else None
        if number is None or isinstance(value, bool) or not low <= number <= high:
            raise Misfit(place, f"an integer in {low}..{high}", value)
        return number

    return read


def real(low: float = -FLOAT32, high: float = FLOAT32) -> Reader[float]:
    """A number in ``low..high``: NaN never, infinity only where a bound is infinite."""

    def read(value: object, place: str) -> float:
        number = _float(value) if isinstance(value, Real) else math.nan
        if isinstance(value, bool) or not low <= number <= high:
            wanted = "a number" if high >= FLOAT32 else f"a number in {low:g}..{high:g}"
            raise Misfit(place, wanted, value)
        return number

    return read


def _float(value: Real) -> float:
    """``value`` as a float; NaN for an integer beyond all floats."""
    try:
        return float(value)
    except OverflowError:
        return math.nan


LIMIT = real(-math.inf, math.inf)
"""A number, infinity too."""


def text(most: int = 1 << 16, least: int = 0) -> Reader[str]:
    """A text of ``least..most`` characters that UTF-8 can hold."""

    def read(value: object, place: str) -> str:
        if not isinstance(value, str) or not least <= len(value) <= most:
            raise Misfit(place, f"a text of {least} to {most} characters", value)
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise Misfit(place, "a text that UTF-8 can hold", value)
        return value

    return read


def flag(value: object, place: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Misfit(place, "true or false", value)
    return value


def choice(known: Iterable[str]) -> Reader[str]:
    """One of the texts ``known``."""
    words = tuple(known)

    def read(value: object, place: str) -> str:
        if not isinstance(value, str) or value not in words:
            raise Misfit(place, f"one of {', '.join(words)}", value)
        return value

    return read


def anything(value: object, place: str) -> object:
    """Whatever stands there."""
    return value


def optional(of: Reader[T]) -> Reader[T | None]:
    """Nothing, or what ``of`` reads."""
    return lambda value, place: None if value is None else of(value, place)


def several(of: Reader[T], least: int = 0, most: int = MANY) -> Reader[tuple[T, ...]]:
    """A list of ``least..most`` of what ``of`` reads."""

    def read(value: object, place: str) -> tuple[T, ...]:
        if not isinstance(value, (list, tuple)) or not least <= len(value) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            raise Misfit(place, f"a list of {count}", value)
        return tuple(of(item, f"{place}[{i}]") for i, item in enumerate(value))

    return read


def table(of: Reader[T], keys: Reader[str] | None = None) -> Reader[dict[str, T]]:
    """A table of what ``of`` reads, by texts."""
    key = keys or text()

    def read(value: object, place: str) -> dict[str, T]:
        if not isinstance(value, Mapping):
            raise Misfit(place, "a table", value)
        return {key(k, f"{place} key"): of(v, f"{place}.{shown(k)}") for k, v in value.items()}

    return read


@dataclass(frozen=True)
class Record:
    """A table whose keys are known, read key by key."""

    values: Mapping[str, object]
    place: str

    def read(self, key: str, reader: Reader[T]) -> T:
        """What stands at ``key``; a missing one reads as nothing."""
        return reader(self.values.get(key), f"{self.place}.{key}".lstrip("."))


def record(value: object, place: str, keys: Sequence[str]) -> Record:
    """``value`` as a table with no other keys than ``keys``."""
    if not isinstance(value, Mapping):
        raise Misfit(place, "a table", value)
    unknown = [key for key in value if key not in keys]
    if unknown:
        raise Misfit(f"{place} key".strip(), f"one of {', '.join(keys)}", unknown[0])
    return Record(value, place)


def row(value: object, place: str, keys: Sequence[str]) -> Record:
    """``value`` as a list with one item for each of ``keys``."""
    if not isinstance(value, (list, tuple)) or len(value) != len(keys):
        raise Misfit(place, f"a list of {len(keys)}", value)
    return Record(dict(zip(keys, value, strict=True)), place)


def fields(value: object, place: str, known: Fields) -> dict[str, object]:
    """A table with exactly the keys of ``known``, each read by its reader."""
    found = record(value, place, tuple(known))
    return {key: found.read(key, reader) for key, reader in known.items()}


def from_json(content: bytes | str) -> object:
    """What a JSON text holds; ValueError for what is no JSON, or nested too deep to be ours."""
    try:
        value: object = json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return value


def from_toml(content: bytes) -> dict[str, object]:
    """What a TOML text holds; ValueError for what is no TOML, or nested too deep to be ours."""
    try:
        table = tomllib.loads(content.decode())
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if any(isinstance(v, int) and not -(2**63) <= v < 2**63 for v in _leaves(table)):
        raise ValueError("it holds a number of more than 64 bits")
    return table


def _leaves(tree: object) -> Iterator[object]:
    """Everything in nested tables and lists that is none itself."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        else:
            yield item


def finite(value: object) -> object:
    """``value`` for JSON, which knows neither infinity nor NaN: they become null.

    >>> finite({"db": [1.5, math.inf]})
    {'db': [1.5, None]}
    """
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
