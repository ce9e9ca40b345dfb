"""How an operator is run on a core: a kernel variant, described as data.

A variant is one entry here and one C file of the same name in ``runtime_c``. All variants of
an operator equal its ``run_int`` bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mcuq.ir import Array, Node
from mcuq.qir import QGraph
from mcuq.targets.cores import Cpu as Cpu

S8 = frozenset({"s8"})
S16 = frozenset({"s16"})


@dataclass(frozen=True, eq=False)
class ConstArray:
    """A packed constant in flash: ``<model>_<step>_<suffix>`` of C type ``ctype``.

    ``shared``: the same for every step that has it: ``<model>_<suffix>``, there once.
    """

    suffix: str
    ctype: str
    data: Array
    comment: str = ""
    align: int = 0
    shared: bool = False


@dataclass(frozen=True)
class Field:
    """One member of a parameter struct: an int, several ints, or the suffix of a ConstArray."""

    name: str
    value: int | tuple[int, ...] | str
    comment: str = ""


@dataclass(frozen=True)
class Call:
    """One C call: ``symbol(&params, inputs..., output[, scratch])``.

    ``inputs`` are tensor names (activations, or constants that are emitted as arrays).
    ``scratch``: bytes, 4-byte aligned; 0 means that the kernel takes no scratch argument.
    ``out_offset``: bytes to add to the output pointer (concat).
    """

    symbol: str
    params_type: str
    fields: tuple[Field, ...]
    inputs: tuple[str, ...]
    output: str
    arrays: tuple[ConstArray, ...] = ()
    scratch: int = 0
    out_offset: int = 0


Lower = Callable[[Node, QGraph], tuple[Call, ...]]


@dataclass(frozen=True)
class Variant:
    """A way to run ``op``.

    ``symbol``: the public function of ``<symbol>.c``, somewhere in ``runtime_c``.
    ``needs``: CPU features without which it is not chosen (the C file itself builds everywhere:
    it holds a portable body with the same packing, so an artifact runs on the host too).
    ``accepts(node, qgraph)``: whether shapes and numbers suit it.
    ``lower(node, qgraph)``: the calls, with weights packed.
    ``cost(node, qgraph, cpu)``: estimated executed instructions.
    ``gap(node, qgraph, index)``: the output may start this many bytes (or more) *before* the start
    of input ``index`` and overlap it, because the kernel walks forward and never reads again what
    it has overwritten; 0 means in place; None means never overlap.
    ``gap_exact``: the overlap is safe at exactly that distance only, not at more.
    ``compressed``: stores less than one byte a weight; "balanced" asks that it be no slower.
    ``kinds``: the widths of data that it is for: s16 where a node reads or writes s16, else s8.
    ``cycles``: about how many an executed instruction takes on Cortex-M4, where memory has no wait
    states: loads of several registers, and branches, take more than one.
    ``multiplies(node, qgraph, macs)``: about how many multiplications a core without SIMD executes.
    ``fetches(node, qgraph, cache)``: bytes of code that are read from flash again and again, where
    a cache holds so many; ``readings(node, qgraph, cache)``: how often its constants are read.
    """

    op: str
    symbol: str
    lower: Lower
    cost: Callable[[Node, QGraph, Cpu], float]
    accepts: Callable[[Node, QGraph], bool] = lambda node, qgraph: True
    needs: frozenset[str] = frozenset()
    gap: Callable[[Node, QGraph, int], int | None] = lambda node, qgraph, index: None
    gap_exact: bool = False
    cycles: float = 1.8
    kinds: frozenset[str] = S8
    compressed: bool = False
    multiplies: Callable[[Node, QGraph, int], float] = lambda node, qgraph, macs: macs
    fetches: Callable[[Node, QGraph, int], float] = lambda node, qgraph, cache: 0.0
    readings: Callable[[Node, QGraph, int], float] = lambda node, qgraph, cache: 1.0

    def suits(self, node: Node, qgraph: QGraph) -> bool:
        """Whether it runs ``node``: the kind of its data, shapes and numbers."""
        ends = {qgraph.tensor(name).kind for name in (node.inputs[0], node.output)}
        return ("s16" if "s16" in ends else "s8") in self.kinds and self.accepts(node, qgraph)


_CODE_BYTES = 3.5
"""Of an instruction: those of fast loops have mostly 4."""


def looped(code: int, instructions: float, cache: int) -> float:
    """Bytes that ``instructions`` in a loop of so many bytes of ``code`` fetch from flash again.

    None if a cache of so many bytes holds it; else each line was forgotten when its turn comes.
    """
    return 0.0 if code <= cache else _CODE_BYTES * instructions


def lower_as(variant: Variant, symbol: str, params_type: str = "") -> Lower:
    """As ``variant`` lowers, to ``symbol``, whose parameters have the same members.

    ``params_type``: their struct, if it is not the same.
    """

    def lower(node: Node, qgraph: QGraph) -> tuple[Call, ...]:
        return tuple(
            replace(call, symbol=symbol, params_type=params_type or call.params_type)
            for call in variant.lower(node, qgraph)
        )

    return lower
