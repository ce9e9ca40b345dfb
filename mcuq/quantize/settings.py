"""What a configuration says of quantization: its ``[quantize]`` table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mcuq.errors import McuqError, closest, raise_all
from mcuq.schema import shown

EFFORTS = ("fast", "normal", "best")
RANGES = ("auto", "minmax", "percentile", "mse", "kl")
GRIDS = ("fitted", "kept")
FRAC_LIMIT = 32
"""No activation has a finer or a coarser frac: 2**-32 is below what float32 adds to 1."""


@dataclass(frozen=True)
class QuantizeConfig:
    """The ``[quantize]`` table. ``effort``: how many steps are tried, and for how long.

    ``ranges``: how the range of a tensor is found, one of ``RANGES``, or by tensor name with
    ``"*"`` for all others: by the expected noise at the network's output (auto), or by the
    tensor's own values (``quantize/ranges/methods.py``).
    ``fracs``: the frac of activations, by tensor name, set by the user.
    ``bits``: 8 or 16 bits of activations, by tensor name or for all others by ``"*"``.
    ``mixed``: 16 bits where they help most (``bits = "mixed"`` in the file).
    ``grids``: of a model that was quantized before: fitted to powers of two, or kept as its own
    integers, whatever the scales (``quantize/grids.py``).
    """

    effort: str = "normal"
    ranges: str | Mapping[str, str] = "auto"
    fracs: Mapping[str, int] = field(default_factory=dict)
    bits: Mapping[str, int] = field(default_factory=dict)
    mixed: bool = False
    grids: str = "fitted"
    seed: int = 0


_KEYS = tuple(item.name for item in fields(QuantizeConfig) if item.name != "mixed")


def from_table(given: object, thing: str) -> QuantizeConfig:
    """The settings that a table says; all of its faults at once, ``thing`` names it there."""
    if not isinstance(given, Mapping):
        raise McuqError(thing, "quantize is not a table", "Write [quantize]")
    raise_all(list(_faults(given, thing)))
    table = dict(given)
    bits = table.pop("bits", {})
    if bits == "mixed":
        return QuantizeConfig(**table, mixed=True)
    return QuantizeConfig(**table, bits=bits if isinstance(bits, Mapping) else {"*": bits})


def _faults(table: Mapping[str, Any], thing: str) -> Iterator[McuqError]:
    for key in sorted(set(table) - set(_KEYS)):
        yield McuqError(thing, f"unknown key quantize.{key}", closest(key, _KEYS))
    for key, known in (("effort", EFFORTS), ("grids", GRIDS)):
        if table.get(key, known[0]) not in known:
            text = f"quantize.{key} = {shown(table[key])}"
            yield McuqError(thing, text, f"Use {' or '.join(known)}")
    seed = table.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        yield McuqError(thing, "quantize.seed is not a whole number >= 0")
    yield from _bad_fracs(table.get("fracs", {}), thing)
    yield from _bad_bits(table.get("bits", {}), thing)
    yield from _bad_ranges(table.get("ranges", "auto"), thing)


def _bad_fracs(fracs: object, thing: str) -> Iterator[McuqError]:
    if not isinstance(fracs, Mapping):
        yield McuqError(thing, "quantize.fracs is not a table", "Write [quantize.fracs]")
        return
    limits = f"-{FRAC_LIMIT}..{FRAC_LIMIT}"
    for name, frac in fracs.items():
        if not isinstance(frac, int) or isinstance(frac, bool) or abs(frac) > FRAC_LIMIT:
            yield McuqError(thing, f"quantize.fracs.{name} is not a whole number in {limits}")


def _bad_bits(bits: object, thing: str) -> Iterator[McuqError]:
    values = bits.values() if isinstance(bits, Mapping) else (bits,)
    if bits != "mixed" and not all(isinstance(v, int) and v in (8, 16) for v in values):
        text = "quantize.bits is not 8 or 16, mixed, or a table of these by tensor name"
        yield McuqError(thing, text)


def _bad_ranges(ranges: object, thing: str) -> Iterator[McuqError]:
    where = "quantize.ranges"
    by_name = (
        {f"{where}.{name}": method for name, method in ranges.items()}
        if isinstance(ranges, Mapping)
        else {where: ranges}
    )
    for place, method in by_name.items():
        if method not in RANGES:
            yield McuqError(thing, f"{place} = {shown(method)}", f"Use {' or '.join(RANGES)}")
