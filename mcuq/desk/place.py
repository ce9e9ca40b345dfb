"""Where a board is: ``gdb:HOST:PORT``, ``gdb:/SOCKET``, ``serial:/dev/TTY`` or ``...@BAUD``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mcuq.errors import ToolError

BAUD = 115200
_REMEDY = "Write gdb:localhost:3333, serial:/dev/ttyACM0 or serial:/dev/ttyACM0@921600"


@dataclass(frozen=True)
class Place:
    """``kind``: gdb or serial. ``path``: of a device or a socket, else ``host`` and ``port``."""

    text: str
    kind: str
    path: str = ""
    host: str = ""
    port: int = 0
    baud: int = BAUD


def parse(text: str) -> Place:
    """The place that ``text`` names.

    >>> parse("gdb:localhost:3333").port, parse("serial:/dev/ttyACM0@9600").baud
    (3333, 9600)
    """
    kind, _, rest = text.partition(":")
    if kind == "gdb" and rest.startswith("/"):
        return Place(text, kind, path=rest)
    found = re.fullmatch(r"(.*):(\d{1,5})", rest, re.ASCII)
    if kind == "gdb" and found and 0 < int(found[2]) < 1 << 16:
        return Place(text, kind, host=found[1].strip("[]") or "localhost", port=int(found[2]))
    found = re.fullmatch(r"(.+?)(?:@(\d{1,8}))?", rest, re.ASCII)
    if kind == "serial" and found and int(found[2] or BAUD):
        return Place(text, kind, path=found[1], baud=int(found[2] or BAUD))
    raise ToolError(f"--on '{text}'", "names no board", _REMEDY)
