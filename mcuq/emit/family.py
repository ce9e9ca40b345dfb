"""One folder for several cores: each variant's C in a file of its own, chosen by the compiler.

``<id>.c`` includes that of the target. The last variant is for whatever is none of the others, such
as this computer, and warns as it does alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mcuq.targets.cores import Cpu

# The features by which a compiler's macros tell cores apart, the richest first.
_MACROS = {
    "mve": "defined(__ARM_FEATURE_MVE)",
    "dsp": "defined(__ARM_FEATURE_DSP)",
    "thumb2": "defined(__thumb2__)",
    "riscv": "defined(__riscv)",
}


@dataclass(frozen=True)
class Variant:
    """The kernels of ``core``, where ``condition`` of the preprocessor holds; "": elsewhere."""

    core: str
    condition: str
    arena: int

    @property
    def suffix(self) -> str:
        """The end of the names of its files.

        >>> Variant("cortex-m4", "", 0).suffix
        'cortex_m4'
        """
        return self.core.replace("-", "_")


def rank(cpu: Cpu) -> int:
    """The place of a core in a family: which of the macros says what it has."""
    return next((i for i, f in enumerate(_MACROS) if f in cpu.features), len(_MACROS))


def variants(cpus: Sequence[tuple[Cpu, int]]) -> tuple[Variant, ...]:
    """Those of cores, by ``rank``, and the bytes of their arenas."""
    conditions = [*_MACROS.values(), ""]
    rows = [Variant(cpu.name, conditions[rank(cpu)], arena) for cpu, arena in cpus]
    return (*rows[:-1], Variant(rows[-1].core, "", rows[-1].arena))


def chosen(cpus: Iterable[Cpu], target: Cpu | None) -> int:
    """Which of a family's ``cpus`` is compiled for ``target``; None: for this computer."""
    *special, _ = cpus
    known, features = frozenset() if target is None else target.features, list(_MACROS)
    return next((i for i, cpu in enumerate(special) if features[rank(cpu)] in known), len(special))
