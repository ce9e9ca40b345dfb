"""What a compiled model may need and must reach: the ``[verify]`` table, or what is given."""

from __future__ import annotations

from dataclasses import dataclass, fields

from mcuq import schema
from mcuq.errors import McuqError, size_of

ON_BOARD = ("flash", "ram", "stack", "instructions")
"""What a board measures, of which a limit is a maximum."""

AT_LEAST = ("accuracy", "sqnr")
"""Of which a limit is a minimum."""


@dataclass(frozen=True)
class Limits:
    """At most so many bytes and instructions, at least so many percent and dB; None: any."""

    max_flash: int | None = None
    max_ram: int | None = None
    max_stack: int | None = None
    max_instructions: int | None = None
    min_accuracy: float | None = None
    min_sqnr: float | None = None

    def by_measure(self) -> dict[str, float]:
        """The limits that are given, by what they limit."""
        found = {field.name[4:]: getattr(self, field.name) for field in fields(self)}
        return {what: limit for what, limit in found.items() if limit is not None}


def from_table(given: object, thing: str) -> Limits:
    """The limits that a table says; sizes may be "64K". ``thing`` names it in errors."""
    try:
        found = schema.record(given, "verify", [field.name for field in fields(Limits)])
        return Limits(
            *(_most(found, f"max_{what}", thing) for what in ON_BOARD),
            *(_least(found, f"min_{what}", thing) for what in AT_LEAST),
        )
    except schema.Misfit as error:
        raise McuqError(thing, str(error)) from error


def _most(found: schema.Record, key: str, thing: str) -> int | None:
    value = found.values.get(key)
    if isinstance(value, str):
        return size_of(value, f"{thing} {key}")
    return found.read(key, schema.optional(schema.whole(0, 1 << 53)))


def _least(found: schema.Record, key: str, thing: str) -> float | None:
    number = found.read(key, schema.optional(schema.real()))
    if key == "min_accuracy" and number is not None and 0 < number <= 1:
        reason = f"min_accuracy {number:g} looks like a share"
        raise McuqError(thing, reason, f"Give percent, such as {100 * number:g}")
    return number
