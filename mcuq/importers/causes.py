"""The same fault of many nodes is said once, with their names and number.

A fault that has another reason stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from mcuq.errors import McuqError, ModelError
from mcuq.importers.standard.steps import Step

Faults = Sequence[tuple[Step, McuqError]]

_NAMED = 3
_SEVERAL = 5


def joined(faults: Faults, model: str) -> list[McuqError]:
    """The faults; those of many nodes for the same reason as one."""
    groups: dict[tuple[str, str], list[tuple[Step, McuqError]]] = {}
    for step, fault in faults:
        groups.setdefault((fault.reason, fault.remedy), []).append((step, fault))
    found: list[McuqError] = []
    for (reason, remedy), group in groups.items():
        if len(group) < _SEVERAL:
            found += [fault for _, fault in group]
            continue
        names = ", ".join(f"'{step.name}'" for step, _ in group[:_NAMED])
        where = f"{model}: nodes {names} and {len(group) - _NAMED} more"
        found.append(ModelError(where, reason, remedy))
    return found
