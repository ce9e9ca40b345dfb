"""The variants of add (and sub, which is an add with a negative ``mul_b``)."""

from __future__ import annotations

from mcuq.kernels.plain import elementwise
from mcuq.kernels.rates import Rate

VARIANTS = elementwise.binary(
    "add",
    ("mul_a", "mul_b", "bias", "shift", "out_min", "out_max"),
    plain=(13.3, 18.6),
    broadcast=(Rate(46, 18, 18, 19), Rate(29, 16, 16, 12), Rate(25, 18, 17, 16)),
)
