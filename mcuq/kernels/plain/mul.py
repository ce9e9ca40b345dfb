"""The variants of mul."""

from __future__ import annotations

from mcuq.kernels.plain import elementwise
from mcuq.kernels.rates import Rate

VARIANTS = elementwise.binary(
    "mul",
    ("bias", "zero_a", "zero_b", "shift", "out_min", "out_max"),
    plain=(14.3, 19.7),
    broadcast=(Rate(46, 20, 19, 20), Rate(29, 16, 15, 12), Rate(25, 19, 18, 16)),
)
