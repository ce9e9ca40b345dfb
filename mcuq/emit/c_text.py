"""How values are written in C: arrays, struct members, byte and shape texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mcuq.ir import Array

_WIDTH = 92
_INT32_MIN = -(2**31)


def array_body(data: Array) -> str:
    """The initializer rows of an integer array, 4 spaces deep, at most 96 columns.

    >>> import numpy as np
    >>> array_body(np.array([1, -2], np.int8))
    '    1, -2,'
    """
    words = (f"{literal(v)}," for v in data.ravel().tolist())
    return "\n".join(f"    {line}" for line in fill(words))


def literal(value: int) -> str:
    """An integer constant expression of type int or long that fits int32_t.

    >>> literal(-2**31)
    '(-2147483647 - 1)'
    """
    return f"({_INT32_MIN + 1} - 1)" if value == _INT32_MIN else str(value)


def string(text: str) -> str:
    r"""A string literal of C that holds ``text`` in UTF-8; nothing in it ends it early.

    >>> print(string('a "b" ü?'))
    "a \042b\042 \303\274\077"
    """
    harmless = (
        chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode()
    )
    return f'"{"".join(harmless)}"'


def fill(words: Iterable[str], width: int = _WIDTH) -> list[str]:
    """``words`` joined by spaces into lines of at most ``width`` columns."""
    lines: list[str] = []
    current: list[str] = []
    length = -1
    for word in words:
        if current and length + 1 + len(word) > width:
            lines.append(" ".join(current))
            current, length = [], -1
        current.append(word)
        length += 1 + len(word)
    return [*lines, " ".join(current)] if current else lines


def shape_text(kind: str, shape: Sequence[int]) -> str:
    """A tensor's type for comments.

    >>> shape_text("s8", (1, 8, 8, 3))
    's8[1,8,8,3]'
    """
    return f"{kind}[{','.join(map(str, shape))}]"


def frac_text(frac: int | tuple[int, ...], zero: int) -> str:
    """A tensor's number format for comments.

    >>> frac_text(7, -128), frac_text(4, 0)
    ('frac 7 zero -128', 'frac 4')
    """
    text = f"frac {frac}"
    return f"{text} zero {zero}" if zero else text


CTYPES = {"s8": "int8_t", "u8": "uint8_t", "s16": "int16_t", "s32": "int32_t"}
