"""What flows through the quantization steps: options, and the state they hand on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mcuq.ir import Array, Graph
from mcuq.qir import QGraph, QTensor
from mcuq.quantize.settings import QuantizeConfig
from mcuq.quantize.tails import Seen

Progress = Callable[[str, float], None]
OPTIONAL = ("affine input", "equalization", "range search", "rounding")


def silent(text: str, fraction: float) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Options(QuantizeConfig):
    """What the user asks for, and what callers add.

    ``price``: the costs of an integer network (its estimated cycles and instructions), as far as
    which ``mixed`` (``mixed.py``) may go; without it there is no budget.
    ``skip``: names of ``STEPS`` to leave out, of those that may be (``OPTIONAL``).
    ``rows``: at most so many calibration rows are used, evenly spaced.
    ``report(text, fraction)``: progress.
    """

    price: Callable[[QGraph], Sequence[float]] | None = None
    skip: tuple[str, ...] = ()
    rows: int = 512
    report: Progress = silent


@dataclass(frozen=True)
class StepNote:
    """What a step did: the output's SQNR in dB on held-out rows before and after; ``kept``."""

    step: str
    before: float
    after: float
    kept: bool


@dataclass(frozen=True)
class Mixed:
    """Which tensors got 16 bits, and the price: times a cost with 8 bits, ``budget`` at most."""

    budget: float
    price: float | None
    tensors: tuple[str, ...]


@dataclass(frozen=True)
class State:
    """``graph`` computes what the user's network computes, and is what will be rounded.

    ``feeds``: calibration rows by port name, as ``graph`` reads them. ``ranges``: (min, max) of
    every activation over them, ``seen`` their largest values, ``sensitivity`` what their errors do
    to the output (``sensitivity.py``). ``acts``: the chosen numbers of every activation (no data).
    ``weights``: the chosen integers, and ``biases``: the corrected reals, by the constant's name.
    ``all_rows``: every row may be learned from, as nothing is decided any more.
    ``mixed``: which tensors got 16 bits, and the price, if that was asked for.
    ``factors``: how many times its real value an output tensor of ``graph`` is (else once), maybe
    one for each channel (last axis), and ``scaled`` any activation that was multiplied to keep a
    given step. ``gains``: where all grids are kept, by what the sums of layers are multiplied
    (``grids.py``).
    """

    graph: Graph
    feeds: Mapping[str, Array]
    options: Options
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    seen: Mapping[str, Seen] = field(default_factory=dict)
    sensitivity: Mapping[str, Array] = field(default_factory=dict)
    acts: Mapping[str, QTensor] = field(default_factory=dict)
    weights: Mapping[str, QTensor] = field(default_factory=dict)
    biases: Mapping[str, Array] = field(default_factory=dict)
    factors: Mapping[str, float | Array] = field(default_factory=dict)
    scaled: Mapping[str, float] = field(default_factory=dict)
    gains: Mapping[str, Array] | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[StepNote, ...] = ()
    all_rows: bool = False
    mixed: Mixed | None = None

    def with_(self, **changes: Any) -> State:
        """This state with some members anew."""
        return replace(self, **changes)

    def with_acts(self, acts: Mapping[str, QTensor]) -> State:
        return replace(self, acts={**self.acts, **acts})

    def with_weights(self, weights: Mapping[str, QTensor]) -> State:
        return replace(self, weights={**self.weights, **weights})

    def with_biases(self, biases: Mapping[str, Array]) -> State:
        return replace(self, biases={**self.biases, **biases})


Stage = Callable[[State], State]
