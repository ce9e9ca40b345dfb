"""What a computer asks of a board, whatever lies between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mcuq.emit.entry import Entry
from mcuq.errors import ToolError

READY = -1
SECONDS = 60.0
"""A step ends within this time, on the slowest board."""


@dataclass(frozen=True)
class Stop:
    """Where the board waits: behind ``step``, whose tensor has so many bytes, or READY.

    ``address``: of the tensor, 0 where only the board knows it.
    """

    step: int
    bytes: int
    address: int = 0


class Link(Protocol):
    """A board that waits at a stop. All methods raise ToolError when it does not answer as it must.

    ``where``: as the user named it.
    """

    where: str

    def start(self) -> None:
        """Bring the board to READY."""

    def put(self, vector: bytes) -> None:
        """Write the model's inputs, one behind the other."""

    def go(self, quiet: bool) -> Stop:
        """On to the next stop; ``quiet``: to READY."""

    def read(self, stop: Stop) -> bytes:
        """The tensor of the step at which the board waits."""

    def cycles(self, count: int) -> list[int]:
        """The cycles of each step of the last inference; zeros if the core counts none."""

    def close(self) -> None:
        """Let the board go."""


def trace(link: Link, inputs: Sequence[bytes], entry: Entry) -> list[list[bytes]]:
    """For each vector of ``inputs``, the bytes of every step's tensor."""
    return [_inference(link, vector, entry) for vector in inputs]


def _inference(link: Link, vector: bytes, entry: Entry) -> list[bytes]:
    link.put(vector)
    found = []
    for index, step in enumerate(entry.steps):
        stop = link.go(quiet=False)
        if (stop.step, stop.bytes) != (index, step.bytes):
            raise _other_steps(link)
        found.append(link.read(stop))
    if link.go(quiet=False).step != READY:
        raise _other_steps(link)
    return found


def cycles(link: Link, vector: bytes, entry: Entry) -> tuple[int, ...] | None:
    """The cycles of each step, of a second inference in a row: caches are as warm as they get.

    None if the core has no counter.
    """
    link.put(vector)
    for _ in range(2):
        if link.go(quiet=True).step != READY:
            raise _other_steps(link)
    found = tuple(link.cycles(len(entry.steps)))
    return found if any(found) else None


def _other_steps(link: Link) -> ToolError:
    reason = "the board runs other steps than the model's report says"
    return ToolError(link.where, reason, "Build its image again")
