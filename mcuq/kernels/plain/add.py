"""The variants of add (and sub, which is an add with a negative ``mul_b``)."""

from __future__ import annotations

from mcuq.kernels.plain import elementwise

VARIANTS = elementwise.binary(
    "add",
    ("mul_a", "mul_b", "bias", "shift", "out_min", "out_max"),
    plain=(13.3, 18.6),
    broadcast=(18.5, 26.3),
)
