"""Weights apart from code: one block of bytes, as ``mcuq_blob.h`` describes it."""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from mcuq.files import assets

FORMAT, HEADER, ALIGN = 1, 64, 16
MOST_VERSION = 2**31 - 1
_MAGIC = b"MCQW"
_NAME = 28
_HEAD = struct.Struct(f"<4sIII16sI{_NAME}s")
_CRC_AT = 12


@dataclass(frozen=True)
class Apart:
    """What a blob holds: where each part is, and its bytes.

    ``step_length``: the most bytes that a step reads, or that a part of the check does.
    """

    version: int
    parts: tuple[tuple[int, bytes], ...]
    length: int
    step_length: int


@dataclass(frozen=True)
class Extent:
    """The part of the blob that one step reads; ``numbers``: where its scalars are in it."""

    offset: int
    bytes: int
    numbers: int | None


class Layout:
    """Gives arrays and scalars their places, step by step.

    ``ports``: the scale and the zero of each input and output, which lie before all steps.
    """

    def __init__(self, ports: Sequence[tuple[float, float]]) -> None:
        self._parts: dict[str, tuple[int, bytes]] = {}
        self._start = self._end = HEADER
        self._longest = HEADER
        self._numbers: list[int] = []
        self.put("", b"".join(struct.pack("<ff", *port) for port in ports))

    def begin(self) -> None:
        """What follows is of another step."""
        self._start, self._numbers = self._end, []

    def put(self, symbol: str, content: bytes) -> int:
        """The place of an array behind the beginning of its step's."""
        if symbol not in self._parts:
            self._parts[symbol] = self._end, content
            self._end += -(-len(content) // ALIGN) * ALIGN
            self._longest = max(self._longest, self._end - self._start)
        return self._parts[symbol][0] - self._start

    def number(self, value: int) -> int:
        """The place of a scalar among those of its step."""
        self._numbers.append(value)
        return len(self._numbers) - 1

    def window(self) -> Extent | None:
        """What the step reads, which ends with this; None if that is nothing."""
        numbers = None
        if self._numbers:
            content = struct.pack(f"<{len(self._numbers)}i", *self._numbers)
            numbers = self.put(f"{self._start}", content)
        size = self._end - self._start
        return Extent(self._start, size, numbers) if size else None

    def apart(self, version: int) -> Apart:
        return Apart(version, tuple(self._parts.values()), self._end, self._longest)


# Members of parameter structs that are numbers, not sizes: what training changes beside arrays.
# They lie in the blob; whatever has another name is part of the code, and of its digest.
_NUMBERS = frozenset(
    """
    out_min out_max out_range pad_value zero zero_a zero_b zero_x zero_y bias bias_a bias_b mul
    mul_a mul_b shift scale_a scale_b one log_2 log_one epsilon epsilon_shift frac gamma_step
    cell_frac state_frac candidate_shift out_bias out_shift z_min z_max
    """.split()
)
_STRUCT = re.compile(r"typedef struct \{(.*?)\} (\w+);", re.DOTALL)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def number_type(params_type: str, member: str) -> str | None:
    """The C type of a member that is a number; None for a size.

    >>> number_type("mcuq_dense_params", "out_min"), number_type("mcuq_dense_params", "in_len")
    ('int8_t', None)
    """
    return _structs()[params_type].get(member) if member in _NUMBERS else None


@cache
def _structs() -> dict[str, dict[str, str]]:
    """The types of the members of all parameter structs."""
    found: dict[str, dict[str, str]] = {}
    for path in assets.room_files("include"):
        text = _COMMENT.sub("", path.read_text(encoding="utf-8"))
        for body, name in _STRUCT.findall(text):
            found[name] = {}
            for declaration in body.split(";"):
                ctype, _, members = declaration.strip().partition(" ")
                words = (word.strip().partition("[")[0] for word in members.split(","))
                found[name].update((word, ctype) for word in words)
    return found


def code_digest(facts: Iterable[object], kernels: Mapping[str, str]) -> bytes:
    """16 bytes for all that weights must suit: ``facts`` of the code, and its kernels."""
    digest = hashlib.sha256()
    for fact in (*facts, sorted(kernels.items())):
        digest.update(f"{fact!r}\0".encode())
    return digest.digest()[:16]


def name_field(name: str) -> bytes:
    """The name as the blob and the code hold it."""
    return name.encode()[: _NAME - 1].ljust(_NAME, b"\0")


def assemble(name: str, code: bytes, apart: Apart) -> bytes:
    """The bytes of a blob for the code of this digest."""
    head = _HEAD.pack(_MAGIC, FORMAT, apart.length, 0, code, apart.version, name_field(name))
    whole = bytearray(head.ljust(apart.length, b"\0"))
    for offset, content in apart.parts:
        whole[offset : offset + len(content)] = content
    struct.pack_into("<I", whole, _CRC_AT, _crc(whole))
    return bytes(whole)


def is_sound(content: bytes) -> bool:
    """Whether a blob without a signature has the checksum that it states."""
    return int.from_bytes(content[_CRC_AT : _CRC_AT + 4], "little") == _crc(content)


def _crc(content: bytes | bytearray) -> int:
    """Of all of it, the checksum itself taken for 0."""
    return zlib.crc32(content[:_CRC_AT] + bytes(4) + content[_CRC_AT + 4 :])


def length_of(content: bytes) -> int | None:
    """The length that a blob states; None of what does not begin as one."""
    if len(content) < HEADER or content[:4] != _MAGIC:
        return None
    return int.from_bytes(content[8:12], "little")
