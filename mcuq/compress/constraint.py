"""What must stay true of a constant while it is tuned: zeros, shared values, or allowed values.

A constraint maps any array to the nearest one that obeys it (``project``), and says which numbers
are free (``free``) and how the constant follows from them, differentiably (``parametrise``). So a
step of an optimizer never leaves the structure, and a checkpoint holds only the free numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mcuq.ir import Array
from mcuq.ops.parts.layout import rows_along
from mcuq.ops.spec import TorchTensor

Follows = Callable[[TorchTensor], TorchTensor]


@dataclass(frozen=True, eq=False)
class Constraint:
    """``kind`` is one of

    - "mask": only zeros are kept;
    - "codes": elements of the same code share one value, which may change, times their own fixed
      ``scale`` (None: 1). ``codes`` are integers of the constant's shape; tables per channel are
      codes that no other channel uses;
    - "levels": each element is one of the fixed ``levels``, (C, K) for the channels along ``axis``
      or (1, K) for all (powers of two, 4-bit integers). Gradients pass straight through.

    ``mask``, False where an element is and stays 0, goes with every kind (None: nowhere); such
    elements have no part in the value of their code.
    """

    kind: str
    mask: Array | None = None
    codes: Array | None = None
    levels: Array | None = None
    axis: int = 0
    scale: Array | None = None

    @property
    def arrays(self) -> tuple[Array | None, ...]:
        return self.mask, self.codes, self.levels, self.scale

    def project(self, array: Array) -> Array:
        """The nearest array (least squares) that obeys, float32.

        >>> halves = Constraint("codes", codes=np.array([0, 1, 0, 1]))
        >>> halves.project(np.array([1.0, 4.0, 3.0, 6.0])).tolist()
        [2.0, 5.0, 2.0, 5.0]
        """
        found = np.asarray(array, np.float64)
        if self.codes is not None:
            found = self._means(found)[self.codes] * (1.0 if self.scale is None else self.scale)
        elif self.levels is not None:
            found = self._nearest(found)
        if self.mask is not None:
            found = np.where(self.mask, found, 0.0)
        return found.astype(np.float32)

    def free(self, array: Array) -> Array:
        """The free numbers of ``array``: the values by code, or the array itself; float32."""
        if self.codes is not None:
            return self._means(np.asarray(array, np.float64)).astype(np.float32)
        found = array if self.mask is None else np.where(self.mask, array, 0.0)
        return np.array(found, np.float32)

    def parametrise(self) -> Follows:
        """The function from the free numbers (torch) to the constant (torch)."""
        import torch

        shape: Follows = self._by_code() if self.codes is not None else lambda free: free
        if self.levels is not None:
            shape = self._straight_through
        if self.mask is None:
            return shape
        mask = torch.from_numpy(np.array(self.mask, np.float32))
        return lambda free: shape(free) * mask

    def moving(self, array: Array) -> Constraint:
        """With codes: each element may take any value of its channel that ``array`` has."""
        scale = np.moveaxis(self._scales(), self.axis, 0)
        channels = scale.reshape(len(scale), -1)[:, :1]
        levels = channels * self._means(np.asarray(array, np.float64))
        return Constraint("levels", self.mask, levels=levels, axis=self.axis)

    def recoded(self, before: Array, after: Array) -> Constraint:
        """With the codes of ``after``, whose elements moved between the values of ``before``."""
        table = self._means(np.asarray(before, np.float64))
        steps = np.asarray(after, np.float64) / self._scales()
        return replace(self, codes=np.abs(steps[..., None] - table).argmin(axis=-1))

    def _scales(self) -> Array:
        """The scale of every element."""
        codes = np.asarray(self.codes)
        return np.ones(codes.shape) if self.scale is None else np.asarray(self.scale, np.float64)

    def _by_code(self) -> Follows:
        import torch

        codes = torch.from_numpy(np.array(self.codes, np.int64))
        flat = codes.reshape(-1)
        if self.scale is None:
            return lambda free: free.index_select(0, flat).reshape(codes.shape)
        scale = torch.from_numpy(np.array(self.scale, np.float32))
        return lambda free: free.index_select(0, flat).reshape(codes.shape) * scale

    def _straight_through(self, free: TorchTensor) -> TorchTensor:
        import torch

        reals = free.detach().numpy()
        nearest = torch.from_numpy(self._nearest(reals).astype(np.float32))
        return free + (nearest - free).detach()

    def _means(self, array: Array) -> Array:
        """(codes,) the least-squares value of each code; 0 for a code without elements."""
        codes = np.asarray(self.codes, np.int64)
        counted = np.ones(codes.shape, bool) if self.mask is None else np.asarray(self.mask, bool)
        size = int(codes.max(initial=-1)) + 1
        scale = self._scales()
        weights = np.bincount(codes[counted], weights=scale[counted] ** 2, minlength=size)
        sums = np.bincount(codes[counted], weights=(array * scale)[counted], minlength=size)
        means: Array = sums / np.where(weights > 0, weights, 1.0)
        return means

    def _nearest(self, array: Array) -> Array:
        """Each element's nearest level; of two equally near ones the lower."""
        levels = np.sort(np.asarray(self.levels, np.float64), axis=1)
        rows = rows_along(array, self.axis)
        found = np.empty(rows.shape)
        for channel, row in enumerate(rows):
            table = levels[channel if len(levels) > 1 else 0]
            found[channel] = table[np.searchsorted((table[1:] + table[:-1]) / 2, row)]
        moved = np.moveaxis(array, self.axis, 0).shape
        nearest: Array = np.moveaxis(found.reshape(moved), 0, self.axis)
        return nearest
