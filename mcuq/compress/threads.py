"""What training computes with: sums have one order only for one number of threads, and one kind of
processor.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

COMMON = {
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "DNNL_MAX_CPU_ISA": "AVX2",
}
"""Instructions that all current processors of PCs have; torch takes no others if told so."""


def use_common_instructions() -> None:
    """Let torch train alike on all PCs; without effect once it is loaded.

    Its libraries read these variables when they are loaded, and have no other switch.
    """
    if "torch" not in sys.modules:
        os.environ.update(COMMON)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """``count`` threads within, the number before after."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
