"""Tables that users write: every key by its reader, all faults at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcuq.errors import McuqError, closest, raise_all
from mcuq.schema import Misfit, Reader


def read_table(
    table: Mapping[str, object],
    readers: Mapping[str, Reader[object]],
    thing: str,
    needed: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The values of ``table``, as ``readers`` give them; ``thing`` names it in errors.

    ``needed``: keys that must be there, and the remedy where one is not.
    """
    found: dict[str, Any] = {}
    wrong: list[McuqError] = []
    for key, value in table.items():
        if key not in readers:
            wrong.append(McuqError(thing, f"unknown key {key}", closest(str(key), readers)))
            continue
        try:
            found[key] = readers[key](value, key)
        except Misfit as error:
            wrong.append(McuqError(thing, str(error)))
    for key, remedy in (needed or {}).items():
        if key not in table:
            wrong.append(McuqError(thing, f"does not say {key}", remedy))
    raise_all(wrong)
    return found
