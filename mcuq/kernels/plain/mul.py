"""The variants of mul."""

from __future__ import annotations

from mcuq.kernels.plain import elementwise

VARIANTS = elementwise.binary(
    "mul",
    ("bias", "zero_a", "zero_b", "shift", "out_min", "out_max"),
    plain=(14.3, 19.7),
    broadcast=(19.5, 26.3),
)
