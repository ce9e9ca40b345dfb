"""A board -> the text of a TOML file of its own, for a user to change."""

from __future__ import annotations

import json
from dataclasses import asdict

from mcuq.errors import McuqError
from mcuq.targets import boards
from mcuq.targets.boards import Board, Region

_HEAD = """\
# {name}: a copy of mcuq's {origin}. Change what differs, then use it: --board {name}.toml
"""


def copied(origin: Board, name: str) -> str:
    """The text of ``<name>.toml``, with the facts of ``origin`` and emulated as that is.

    BoardError if no board may have the name.
    """
    if name in boards.names():
        raise McuqError(name, "is the name of a board of mcuq", "Name yours otherwise")
    text = _text(origin, name)
    boards.parse(text.encode(), f"--new {name}", name)
    return text


def _text(board: Board, name: str) -> str:
    twin = board.name if board.emulate_command else board.emulate_board
    facts = {
        "name": name,
        "title": board.title,
        "cpu": board.cpu,
        "clock_hz": board.clock_hz,
        "flags": list(board.flags),
        "features": list(board.features),
        "toolchain": board.toolchain,
        "stack": board.stack,
        "multiply_cycles": board.multiply_cycles,
    }
    # Texts, whole numbers and lists of texts are written in JSON as in TOML.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in facts.items()]
    regions = {"flash": board.flash, "ram": board.ram, "vectors": board.vectors}
    memory = [f"{key} = {_region(region)}" for key, region in regions.items() if region]
    reads = asdict(board.reads) if board.reads else {}
    memory += ["", "[flash_reads]"] if reads else []
    memory += [f"{key} = {json.dumps(value)}" for key, value in reads.items()]
    emulate = ["", "[emulate]", f"board = {json.dumps(twin)}"] if twin else []
    head = _HEAD.format(name=name, origin=board.name)
    return head + "\n".join([*lines, "", "[memory]", *memory, *emulate, ""])


def _region(region: Region) -> str:
    return f"{{ origin = {region.origin:#010x}, length = {region.length:#x} }}"
