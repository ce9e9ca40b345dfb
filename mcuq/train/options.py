"""What is asked for: numbers of the chip, zeros, shared values, and when each begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcuq.compress.request import Methods, Request, parse
from mcuq.compress.schedule import POWERS, amounts
from mcuq.errors import McuqError

RANGES = ("observed", "learned")
Words = str | Mapping[str, str]
"""Methods as ``--compress`` takes them, for all layers or by a pattern of their names."""


@dataclass(frozen=True)
class Quantize:
    """``ranges``: "observed": each activation has the power of two at which the batches err least;
    "learned": its range is a parameter (trained thresholds, Jain et al. 2020). ``bits``: 8 or 16 of
    activations, by tensor name or for all others by ``"*"``. ``signed``: the zero of activations is
    0 or -128 only; else the range lies in the middle of the integers.
    """

    ranges: str = "observed"
    bits: int | Mapping[str, int] = 8
    signed: bool = False

    @property
    def by_name(self) -> Mapping[str, int]:
        """The bits as the quantizer's options have them."""
        return {"*": self.bits} if isinstance(self.bits, int) else dict(self.bits)


@dataclass(frozen=True)
class Prune:
    """``methods``: "sparse:0.8", "block:0.8" or "2:4". They begin at training step ``begin`` and
    grow for ``steps`` steps by ``schedule`` (``compress/schedule.py``), anew after each ``every``.
    """

    methods: Words
    schedule: str = "cubic"
    begin: int = 0
    steps: int = 0
    every: int = 10

    def share(self, step: int) -> float | None:
        """The share of the way that is to be gone from ``step`` on; None if nothing changes then.

        >>> [Prune("2:4", "linear", 5, 20, 10).share(step) for step in (0, 5, 10, 15, 25)]
        [None, 0.5, None, 1.0, None]
        """
        turn, rest = divmod(step - self.begin, self.every)
        return self._shares[turn] if rest == 0 and 0 <= turn < len(self._shares) else None

    def reached(self, step: int) -> float | None:
        """The share that is gone before ``step``; None if nothing is.

        >>> [Prune("2:4", "linear", 5, 20, 10).reached(step) for step in (5, 6, 15, 16, 99)]
        [None, 0.5, 0.5, 1.0, 1.0]
        """
        turn = (step - 1 - self.begin) // self.every
        return self._shares[min(turn, len(self._shares) - 1)] if turn >= 0 else None

    @property
    def _shares(self) -> tuple[float, ...]:
        return amounts(self.schedule, 1.0, max(1, self.steps // self.every))


@dataclass(frozen=True)
class Cluster:
    """``methods``: "cluster:4bit", "cluster:2bit", "log" or "int4", from step ``begin`` on."""

    methods: Words
    begin: int = 0


def quantize_of(given: bool | Quantize) -> Quantize | None:
    """None: the network stays in float."""
    if isinstance(given, bool):
        return Quantize() if given else None
    if given.ranges not in RANGES:
        reason = f"ranges '{given.ranges}' is not one of {', '.join(RANGES)}"
        raise McuqError("quantize", reason)
    return given


def prune_of(given: Words | Prune | None) -> Prune | None:
    made = given if isinstance(given, Prune) or given is None else Prune(given)
    if made is not None:
        if made.schedule not in POWERS:
            reason = f"'{made.schedule}' is not one of {', '.join(POWERS)}"
            raise McuqError("schedule", reason)
        if made.begin < 0 or made.steps < 0 or made.every < 1:
            reason = f"begin {made.begin}, steps {made.steps}, every {made.every}"
            raise McuqError("prune", reason, "Give a begin and steps of 0 or more, every 1 or more")
        request_of(made.methods, "prune")
    return made


def cluster_of(given: Words | Cluster | None) -> Cluster | None:
    made = given if isinstance(given, Cluster) or given is None else Cluster(given)
    if made is not None:
        request_of(made.methods, "cluster")
    return made


def request_of(words: Words, thing: str) -> Request:
    """What ``prune`` or ``cluster``, the ``thing``, asks of which layer."""
    table = {"*": words} if isinstance(words, str) else words
    found = [(pattern, _methods(text, thing)) for pattern, text in table.items()]
    named = tuple((pattern, made) for pattern, made in found if pattern != "*")
    default = next((made for pattern, made in found if pattern == "*"), Methods())
    return Request(default, named)


def _methods(text: str, thing: str) -> Methods:
    made = parse(text, thing)
    if made.structured is not None:
        remedy = "Give mcuq.train.shrink(module, example, 0.5) to prepare"
        raise McuqError(thing, "whole channels go before training, not during it", remedy)
    if (thing == "prune" and made.codes) or (thing == "cluster" and made.zeros):
        other = "cluster" if thing == "prune" else "prune"
        raise McuqError(thing, f"'{text}' belongs to {other}=", f"Write {other}='{text}'")
    return made
