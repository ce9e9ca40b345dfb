"""Frames of the serial protocol: COBS, a tag, a CRC-32; ``mcuq_desk_serial.c`` is the other end.

COBS: S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", 1999. A zero byte ends a frame
and is nowhere inside one, so that after any noise the next frame is whole again.
"""

from __future__ import annotations

import zlib

MOST = 200
"""Bytes of data in a frame."""

_HEAD, _CRC = 2, 4


def encoded(kind: bytes, tag: int, body: bytes) -> bytes:
    """The bytes on the line, the zeros at both ends with them.

    >>> decoded(encoded(b"H", 7, b"a")[1:-1])
    (b'H', 7, b'a')
    """
    content = kind + bytes((tag,)) + body
    whole = content + zlib.crc32(content).to_bytes(_CRC, "little")
    out = bytearray(b"\0")
    for part in (whole + b"\0").split(b"\0")[:-1]:
        for at in range(0, len(part) - 253, 254):
            out += b"\xff" + part[at : at + 254]
        rest = part[len(part) // 254 * 254 :]
        out += bytes((len(rest) + 1,)) + rest
    return bytes(out + b"\0")


def decoded(line: bytes) -> tuple[bytes, int, bytes] | None:
    """Kind, tag and body of what stood between two zeros; None if it is damaged."""
    out = bytearray()
    at = 0
    while at < len(line):
        code = line[at]
        if code == 0 or at + code > len(line):
            return None
        out += line[at + 1 : at + code]
        at += code
        if code < 255 and at < len(line):
            out.append(0)
    content, crc = bytes(out[:-_CRC]), bytes(out[-_CRC:])
    if len(content) < _HEAD or zlib.crc32(content) != int.from_bytes(crc, "little"):
        return None
    return content[:1], content[1], content[_HEAD:]
