"""Instructions that differ from one kind of core to the next."""

from __future__ import annotations

from typing import NamedTuple

from mcuq.targets.cores import Cpu


class Rate(NamedTuple):
    """Instructions of one piece of a kernel, measured with gcc -O2 on one core of each kind.

    ``thumb``: Cortex-M0 and M0+; ``thumb2``: M3 to M33; ``mve``: M55; ``riscv``: RV32.

    >>> Rate(5.0, 4.0, 3.0, 4.75).on(Cpu("cortex-m4", frozenset({"thumb2", "dsp"})))
    4.0
    """

    thumb: float
    thumb2: float
    mve: float
    riscv: float

    def on(self, cpu: Cpu) -> float:
        """What it takes on ``cpu``."""
        if "riscv" in cpu.features:
            return self.riscv
        if "mve" in cpu.features:
            return self.mve
        return self.thumb2 if "thumb2" in cpu.features else self.thumb
