"""Errors that reach the user: one line each, saying what, why and what to do.

``McuqError`` is the user's model, data or board at fault (exit code 1). Anything else that
escapes is our own bug and is shown with its traceback (exit code 70).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class McuqError(Exception):
    """A fault outside mcuq.

    >>> str(McuqError("kws.onnx", "operator Foo is not supported", "Use Relu"))
    'kws.onnx: operator Foo is not supported. Use Relu.'
    """

    exit_code = 1

    def __init__(self, thing: str, reason: str, remedy: str = "") -> None:
        self.thing, self.reason, self.remedy = one_line(thing), one_line(reason), one_line(remedy)
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        text = f"{self.thing}: {self.reason}".rstrip(".") + "."
        return f"{text} {self.remedy.rstrip('.')}." if self.remedy else text


class ModelError(McuqError):
    """The network cannot be read, or holds something mcuq does not support."""


class DataError(McuqError):
    """Calibration, evaluation or input data does not fit the network."""


class BoardError(McuqError):
    """A board file is wrong, or names something unknown."""


class FitError(McuqError):
    """The network does not fit the board's memory."""


class ToolError(McuqError):
    """A compiler or emulator is missing, failed, or did not end in time."""


class ManyErrors(McuqError):
    """Several faults found in one go, one line each."""

    def __init__(self, errors: Sequence[McuqError]) -> None:
        self.errors = tuple(errors)
        lines = [str(e) for e in self.errors[:MOST_LINES]]
        if len(self.errors) > MOST_LINES:
            lines.append(f"... and {len(self.errors) - MOST_LINES} more")
        Exception.__init__(self, "\n".join(lines))


LONGEST = 600
"""A thing, a reason or a remedy has at most so many characters, about what a screen shows."""

MOST_LINES = 100
"""So many faults are listed; the rest are counted."""


def one_line(text: str) -> str:
    r"""``text`` with every non-printing character escaped, so that hostile names stay on one line.

    Of a very long one the beginning and the end are left.

    >>> one_line("a\nb"), len(one_line("a" * 10**6))
    ('a\\nb', 599)
    """
    whole = str(text)
    if len(whole) > LONGEST:
        half = (LONGEST - 5) // 2
        whole = f"{whole[:half]} ... {whole[-half:]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in whole)


def brief(kind: str, name: str, *facts: str) -> str:
    """What a prompt shows of a large value, in one line.

    >>> brief("Graph", "digits", "9 nodes")
    '<mcuq.Graph digits: 9 nodes>'
    """
    known = f": {', '.join(facts)}" if facts else ""
    return one_line(f"<mcuq.{kind} {name}{known}>")


def closest(
    word: str, known: Iterable[str], otherwise: str | None = None, near: float = 0.6
) -> str:
    """The remedy for a ``word`` that is not among the ``known`` ones: the one that was meant.

    If none is as ``near``: ``otherwise``, by default all of them.

    >>> closest("cortex-m44", ("cortex-m4", "microbit")), closest("x", ("b", "a"))
    ("Did you mean 'cortex-m4'", 'Known: a, b')
    """
    names = sorted(set(known))
    close = difflib.get_close_matches(word[:60], names, 1, near)
    if close:
        return f"Did you mean '{close[0]}'"
    return f"Known: {', '.join(names)}" if otherwise is None else otherwise


def raise_all(errors: Sequence[McuqError]) -> None:
    """Raise nothing for no error, the error itself for one, ``ManyErrors`` for more."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ManyErrors(errors)


def attempt(
    faults: list[McuqError], make: Callable[P, T], *given: P.args, **more: P.kwargs
) -> T | None:
    """What ``make`` returns; None where it raised, and its errors are among the ``faults``."""
    try:
        return make(*given, **more)
    except ManyErrors as errors:
        faults += errors.errors
    except McuqError as error:
        faults.append(error)
    return None


def size_text(count: int) -> str:
    """Bytes for people.

    >>> size_text(180), size_text(16384), size_text(2_200_000)
    ('180 B', '16.0 KiB', '2.1 MiB')
    """
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < 1024 * 1024 else f"{count / 1024**2:.1f} MiB"


def size_of(text: str, thing: str) -> int:
    """The bytes that a text such as 64K says; ``thing`` names it in errors.

    >>> size_of("256K", ""), size_of("1M", ""), size_of("1000", "")
    (262144, 1048576, 1000)
    """
    units = {"K": 1024, "M": 1024 * 1024}
    number = text.strip().upper().removesuffix("IB").removesuffix("B")
    unit = units.get(number[-1:], 1)
    digits = number[:-1] if unit > 1 else number
    if not digits.isdigit() or int(digits) == 0:
        raise McuqError(thing, f"'{text}' is no size", "Write 256K, 1M or a number of bytes")
    return int(digits) * unit
