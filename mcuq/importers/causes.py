"""The same fault of many nodes is said once, with their names and number.

A fault that has another reason stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from mcuq.errors import McuqError, ModelError

Faults = Sequence[tuple[str, McuqError]]
"""Names of nodes, and what is wrong with each."""

_NAMED = 3
_SEVERAL = 5


def joined(faults: Faults, model: str) -> list[McuqError]:
    """The faults; those of many nodes for the same reason as one."""
    groups: dict[tuple[str, str], list[tuple[str, McuqError]]] = {}
    for name, fault in faults:
        groups.setdefault((fault.reason, fault.remedy), []).append((name, fault))
    found: list[McuqError] = []
    for (reason, remedy), group in groups.items():
        if len(group) < _SEVERAL:
            found += [fault for _, fault in group]
            continue
        names = ", ".join(f"'{name}'" for name, _ in group[:_NAMED])
        where = f"{model}: nodes {names} and {len(group) - _NAMED} more"
        found.append(ModelError(where, reason, remedy))
    return found
