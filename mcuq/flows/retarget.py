"""A compiled folder's C made anew for another board: the network stays as it was quantized."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mcuq.errors import McuqError
from mcuq.model import bundle
from mcuq.model.compiled import Compiled, generate_for, richest_first
from mcuq.program.choose import PREFERENCES
from mcuq.targets import boards
from mcuq.targets.boards import Board


def retarget(folder: str | Path, board: str | Path | Board, prefer: str | None = None) -> Compiled:
    """What is in ``folder`` with the kernels of ``board``, which it must fit.

    ``board`` and ``prefer``: as when compiling; None: as it was. The numbers stay the same.
    """
    if prefer is not None and prefer not in PREFERENCES:
        raise McuqError("prefer", f"'{prefer}' is not one of {', '.join(PREFERENCES)}")
    given = boards.load_all(board)
    made = bundle.load(Path(folder))
    fresh = replace(made, board=richest_first(given)[0], prefer=prefer or made.prefer, family=())
    return generate_for(fresh, given)
