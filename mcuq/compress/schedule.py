"""How an amount grows over the steps of gradual pruning: prune, tune, prune more."""

from __future__ import annotations

from mcuq.errors import McuqError

POWERS = {"constant": None, "linear": 1.0, "polynomial": 2.0, "cubic": 3.0}


def amounts(schedule: str, target: float, steps: int) -> tuple[float, ...]:
    """The amount at the end of each of ``steps`` steps; the last is ``target``.

    ``constant`` goes all the way at once. The others take most in the first steps, where there is
    most to spare: what is left to do after a share t of the steps is (1 - t) to the power of 1
    (linear), 2 (polynomial) or 3 (cubic; Zhu and Gupta 2017).

    >>> amounts("cubic", 0.8, 4)
    (0.4625, 0.7, 0.7875, 0.8)
    >>> amounts("constant", 0.5, 4)
    (0.5,)
    """
    if schedule not in POWERS:
        raise McuqError("schedule", f"'{schedule}' is not one of {', '.join(POWERS)}")
    if steps < 1:
        raise McuqError("schedule", f"{steps} steps", "Give 1 or more")
    power = POWERS[schedule]
    if power is None:
        return (target,)
    done = (1 - (1 - step / steps) ** power for step in range(1, steps + 1))
    return tuple(round(target * share, 12) for share in done)


def further(before: float, after: float) -> float:
    """The share to take of what is left at amount ``before``, to arrive at ``after``.

    >>> further(0.5, 0.75)
    0.5
    """
    return max(0.0, (after - before) / (1 - before)) if before < 1 else 0.0
