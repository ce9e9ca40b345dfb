"""Training with the numbers of the chip.

from mcuq import train
prepared = train.prepare(module, typical)
...                                  # any training loop, or train.fit
model = mcuq.compile(train.finish(prepared), name="net")
"""

from __future__ import annotations

from mcuq.train.loop import accuracy, fit
from mcuq.train.options import Cluster, Prune, Quantize
from mcuq.train.prepare import finish, prepare
from mcuq.train.prepared import Prepared
from mcuq.train.shrink import shrink
from mcuq.train.with_batch_norm import with_batch_norm

__all__ = [
    "Cluster",
    "Prepared",
    "Prune",
    "Quantize",
    "accuracy",
    "finish",
    "fit",
    "prepare",
    "shrink",
    "with_batch_norm",
]
