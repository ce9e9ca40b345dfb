"""Lets torch compute in float32 what it would in half precision: as mcuq reads such a network.

What is left where both are compared is then no rounding. To be imported where torch is wanted.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

HALVES = (torch.float16, torch.bfloat16)


class Wide(TorchDispatchMode):
    """A mode for ``with``; what an operator writes into keeps its type."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.is_mutable:
            return func(*args, **(kwargs or {}))
        return func(*tree_map(_widened, args), **tree_map(_widened, kwargs or {}))


def widest(dtype: torch.dtype) -> torch.dtype:
    """The type in which the numbers of a type are computed with."""
    return torch.float32 if dtype in HALVES else dtype


def _widened(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.dtype in HALVES:
        return value.float()
    return widest(value) if isinstance(value, torch.dtype) else value
