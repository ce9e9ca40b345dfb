"""Operators of PyTorch that ``torch.onnx.export`` has no form for, as ONNX nodes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from mcuq.importers import fake_quant


def translations() -> dict[Any, Any]:
    """What ``torch.onnx.export`` takes as ``custom_translation_table``."""
    import torch

    return {**fake_quant.translations(), torch.ops.aten.rrelu.default: _rrelu}


@contextlib.contextmanager
def written_out() -> Iterator[None]:
    """No fused kernels of attention and transformer layers, which PyTorch takes without gradients:
    ONNX has no form for these.
    """
    from torch.backends import mha

    before = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        mha.set_fastpath_enabled(before)


def _rrelu(
    x: Any,
    lower: float = 0.125,
    upper: float = 1 / 3,
    training: bool = False,
    generator: Any = None,
) -> Any:
    """At inference the slope is the middle of its limits."""
    from onnxscript import opset18

    if training:
        raise ValueError("rrelu in training mode: use eval()")
    op: Any = opset18
    return op.LeakyRelu(x, alpha=(lower + upper) / 2)
