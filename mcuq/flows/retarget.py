"""A compiled folder's C made anew for another board: the network stays as it was quantized."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mcuq.errors import McuqError
from mcuq.model import bundle
from mcuq.model.compiled import Compiled, generate
from mcuq.program.choose import PREFERENCES
from mcuq.targets import boards
from mcuq.targets.boards import Board


def retarget(folder: str | Path, board: str | Path | Board, prefer: str | None = None) -> Compiled:
    """What is in ``folder`` with the kernels of ``board``, which it must fit.

    ``prefer``: as when compiling; None: as it was. The numbers that the network gives are the same.
    """
    if prefer is not None and prefer not in PREFERENCES:
        raise McuqError("prefer", f"'{prefer}' is not one of {', '.join(PREFERENCES)}")
    target = boards.load(board)
    made = bundle.load(Path(folder))
    return generate(replace(made, board=target, prefer=prefer or made.prefer), target)
