"""How large a network may be, whoever made its file: one limit, asked before memory is taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod

MAX_ELEMENTS = 1 << 26
"""Elements of all tensors of a network together. A microcontroller holds a small part of that."""

DATA_ROWS = 8
"""An array of many rows may have so many times as many elements."""

_limit: ContextVar[int] = ContextVar("max_elements", default=MAX_ELEMENTS)


def most_elements() -> int:
    """The limit that holds now."""
    return _limit.get()


@contextmanager
def allowing(elements: int) -> Iterator[None]:
    """Another limit within."""
    token = _limit.set(elements)
    try:
        yield
    finally:
        _limit.reset(token)


def excess(shape: Sequence[int], beside: int = 0) -> str:
    """Why ``shape`` does not fit ``beside`` so many elements; empty if it does.

    >>> excess((1, 4)), excess((1 << 20, 1 << 7))
    ('', 'a tensor of 1048576x128 elements is too large')
    """
    size = prod(int(s) for s in shape)
    if size > most_elements():
        return f"a tensor of {'x'.join(str(s) for s in shape)} elements is too large"
    if size + beside > most_elements():
        return f"all tensors together are too large: more than {most_elements()} elements"
    return ""


def remedy(instead: str = "Use a smaller network") -> str:
    """What to do about it."""
    return f"{instead}, or raise the limit of {most_elements()}: mcuq --max-elements N ..."
