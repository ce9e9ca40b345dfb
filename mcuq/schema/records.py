"""Frozen records as plain values of JSON, and back: the types of their fields are the schema.

A field says what it holds beside its type, ``macs: Annotated[int, "products of one inference"]``;
``Key`` there names it otherwise in JSON, a ``Reader`` narrows what is read. A field that has its
default is left out, and one that is missing has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from mcuq import schema
from mcuq.schema import Misfit, Reader

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

Bytes = Annotated[int, schema.whole(0, 1 << 53)]
"""A size or a count: no negative number, and exact in JSON."""


@dataclass(frozen=True)
class Key:
    """How a field is called in JSON, where that is no name for Python."""

    name: str


@dataclass(frozen=True)
class Described:
    """A field for people: its place, such as ``steps[].name``, its type, and what it holds."""

    place: str
    kind: str
    text: str
    optional: bool


_SIMPLE: Mapping[object, tuple[str, Reader[object]]] = {
    int: ("integer", schema.whole()),
    float: ("number", schema.real()),
    str: ("text", schema.text()),
    bool: ("true or false", schema.flag),
}


def plain(value: object) -> object:
    """``value`` as tables, lists, numbers and texts; numbers that JSON does not know are None."""
    if is_dataclass(value) and not isinstance(value, type):
        found = {f: getattr(value, f.name) for f in fields(value)}
        keys = _keys(type(value))
        return {keys[f.name]: plain(v) for f, v in found.items() if v != _default(f)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read(kind: type[T], value: object, place: str = "") -> T:
    """The record of the class ``kind`` that ``value`` stands for; Misfit for what is none."""
    keys, hints = _keys(kind), _hints(kind)
    found = schema.record(value, place, tuple(keys.values()))
    given = {
        field.name: found.read(keys[field.name], _reader(hints[field.name]))
        for field in fields(kind)
        if keys[field.name] in found.values or _default(field) is MISSING
    }
    return kind(**given)


def described(kind: type[DataclassInstance], place: str = "") -> Iterator[Described]:
    """Every field of ``kind`` and of the records in it, in the order of the JSON."""
    keys = _keys(kind)
    for field in fields(kind):
        here = f"{place}{keys[field.name]}"
        hint = _hints(kind)[field.name]
        inner, suffix = _record_in(hint)
        optional = _default(field) is not MISSING
        texts = (note for note in _notes(hint) if isinstance(note, str))
        kind_text = _kind(hint).removesuffix(" or null") if optional else _kind(hint)
        yield Described(here, kind_text, next(texts, ""), optional)
        if inner is not None:
            yield from described(inner, f"{here}{suffix}.")


@cache
def _hints(kind: type) -> Mapping[str, object]:
    return get_type_hints(kind, include_extras=True)


@cache
def _keys(kind: type[DataclassInstance]) -> Mapping[str, str]:
    """The key in JSON of each field."""
    own = {n: k.name for n, h in _hints(kind).items() for k in _notes(h) if isinstance(k, Key)}
    return {field.name: own.get(field.name, field.name) for field in fields(kind)}


def _default(field: Field[object]) -> object:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _notes(hint: object) -> tuple[object, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _bare(hint: object) -> object:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _reader(hint: object) -> Reader[object]:
    kind = _bare(hint)
    for note in _notes(hint):
        if callable(note):
            return cast("Reader[object]", note)
    if isinstance(kind, type) and is_dataclass(kind):
        return lambda value, place: read(kind, value, place)
    if kind in _SIMPLE:
        return _SIMPLE[kind][1]
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _either(parts)
    if origin is tuple:
        return schema.several(_reader(parts[0]))
    if origin is Mapping:
        return schema.table(_reader(parts[1]))
    raise TypeError(f"no schema for {hint}")


def _either(parts: tuple[object, ...]) -> Reader[object]:
    """Nothing, if that is one of ``parts``; of the others the first that fits."""
    readers = [_reader(part) for part in parts if part is not NoneType]

    def choose(value: object, place: str) -> object:
        for reader in readers[:-1]:
            try:
                return reader(value, place)
            except Misfit:
                continue
        return readers[-1](value, place)

    return schema.optional(choose) if NoneType in parts else choose


def _kind(hint: object) -> str:
    """The type in words."""
    kind = _bare(hint)
    if isinstance(kind, type) and is_dataclass(kind):
        return "table"
    if kind in _SIMPLE:
        return _SIMPLE[kind][0]
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join("null" if part is NoneType else _kind(part) for part in parts)
    if origin is tuple:
        return f"list of {_kind(parts[0])}s".replace("true or falses", "true or false")
    return f"table of {_kind(parts[1])}s by name"


def _record_in(hint: object) -> tuple[type[DataclassInstance] | None, str]:
    """The record that a field holds, one or many, and how its place goes on."""
    kind = _bare(hint)
    if isinstance(kind, type) and is_dataclass(kind):
        return kind, ""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return next((found for part in parts if (found := _record_in(part))[0]), (None, ""))
    if origin is tuple:
        return _record_in(parts[0])[0], "[]"
    if origin is Mapping:
        return _record_in(parts[1])[0], ".NAME"
    return None, ""
