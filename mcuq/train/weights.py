"""The weights of a layer in training: zeros, shared values and rounding, with gradients through it.

All of that is done to the weights as the chip has them, with the scale of the BatchNorm behind
them, which is taken out again afterwards: the layer itself is the user's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mcuq.compress.request import Methods
from mcuq.compress.tables import Table
from mcuq.compress.tuning import passes
from mcuq.ir import Array
from mcuq.ops.parts.weights import FRAC_MAX, FRAC_MIN

LEVELS = 16
MEMORY = 0.95
"""What a step leaves of the shared values; the rest is the mean of the weights that have them."""


class Weight(nn.Module):
    """``weights -> weights`` as the chip has them, in the user's layout.

    ``places``: where each element of the graph's constant lies in the parameter; ``axis``: that of
    its output channels; ``factor``: what the network does to the weights besides BatchNorm.
    ``methods``: what becomes of them; ``rounds``: to 8 bits.
    """

    places: Tensor
    factor: Tensor
    mask: Tensor
    levels: Tensor
    exponents: Tensor
    coded: Tensor

    def __init__(
        self, shape: tuple[int, ...], places: Array, axis: int, methods: Methods, rounds: bool
    ) -> None:
        super().__init__()
        self.shape, self.axis, self.methods, self.rounds = shape, axis, methods, rounds
        self.eps = 0.0
        self.learns = False
        self.register_buffer("places", torch.from_numpy(places), persistent=False)
        self.register_buffer("factor", torch.ones(()), persistent=False)
        if methods.zeros is not None:
            self.register_buffer("mask", torch.ones(shape, dtype=torch.bool))
        if methods.codes is not None:
            self.register_buffer("levels", torch.full((LEVELS,), torch.inf))
            self.register_buffer("exponents", torch.zeros(shape[axis]))
            self.register_buffer("coded", torch.tensor(False))
        self.fixed = methods.codes in ("log", "int4")

    def forward(self, weights: Tensor, gain: Tensor | None, variance: Tensor | None) -> Tensor:
        """``gain`` and ``variance``: of the BatchNorm behind the layer."""
        kept = self.masked(weights)
        if not self.rounds and not self.is_coded:
            return kept
        with torch.no_grad():
            scale = self._scale(kept, gain, variance)
            folded = kept * scale
            found = self._rounded(folded)
            found = torch.where(scale == 0, kept, found / torch.where(scale == 0, 1.0, scale))
        return passes(kept, found)

    def masked(self, weights: Tensor) -> Tensor:
        """``weights`` with the zeros of the mask."""
        return weights * self.mask if self.methods.zeros is not None else weights

    def folded(self, weights: Tensor, gain: Tensor | None, variance: Tensor | None) -> Tensor:
        """The weights of the chip before rounding, those of a table with its values."""
        kept = self.masked(weights)
        found = kept * self._scale(kept, gain, variance)
        return self._tabled(found, self.levels) if self.is_coded else found

    def in_graph(self, values: Tensor) -> Array:
        """``values`` in the layout of the graph's constant."""
        found: Array = values.reshape(-1)[self.places].cpu().numpy()
        return found

    def start_of(
        self, weights: Tensor, wanted: Array, gain: Tensor | None, variance: Tensor | None
    ) -> Tensor:
        """``weights`` with which the chip has ``wanted``, which lie as the graph's constant."""
        scale = self._scale(weights, gain, variance).expand(self.shape).reshape(-1)
        places = self.places.reshape(-1)
        found = weights.detach().clone().reshape(-1)
        values = torch.from_numpy(np.ascontiguousarray(wanted)).reshape(-1).to(found)
        own = scale[places]
        found[places] = torch.where(own == 0, found[places], values / torch.where(own == 0, 1, own))
        return found.reshape(weights.shape)

    def set_factor(self, factor: Array) -> None:
        """Take what the network does to each weight, which lies as the graph's constant."""
        found = torch.ones(self.shape)
        found.view(-1)[self.places.reshape(-1)] = torch.from_numpy(factor.astype(np.float32))
        self.factor = found

    def set_mask(self, mask: Array) -> None:
        """Take the ``mask``, which lies as the graph's constant."""
        found = torch.ones(self.mask.numel(), dtype=torch.bool, device=self.mask.device)
        found[self.places.reshape(-1)] = (
            torch.from_numpy(np.ascontiguousarray(mask)).reshape(-1).to(found.device)
        )
        self.mask.copy_(found.reshape(self.mask.shape))

    def set_table(self, table: Table) -> None:
        """Weights have the values of ``table`` from now on."""
        levels = torch.full((LEVELS,), torch.inf)
        levels[: len(table.levels)] = torch.from_numpy(np.array(table.levels, np.float32))
        self.levels.copy_(levels)
        self.exponents.copy_(torch.from_numpy(table.exponents.astype(np.float32)))
        self.coded.fill_(True)

    @property
    def is_coded(self) -> bool:
        """Whether the weights have the values of a table by now."""
        return self.methods.codes is not None and bool(self.coded)

    def _scale(self, weights: Tensor, gain: Tensor | None, variance: Tensor | None) -> Tensor:
        if variance is None:
            return self.factor.to(weights.dtype)
        scale = torch.rsqrt(variance + self.eps)
        return self._along(scale if gain is None else scale * gain) * self.factor

    def _along(self, values: Tensor) -> Tensor:
        return values.reshape([-1 if i == self.axis else 1 for i in range(len(self.shape))])

    def _rounded(self, folded: Tensor) -> Tensor:
        if not self.is_coded:
            return _nearest(folded, self.axis)
        if self.learns and not self.fixed:
            self._learn(folded)
        levels = self.levels
        if self.rounds:
            known = torch.where(levels.isinf(), 0.0, levels)
            levels = torch.where(levels.isinf(), levels, _nearest(known[None], 0)[0])
        return self.masked(self._tabled(folded, levels))

    def _codes(self, folded: Tensor) -> tuple[Tensor, Tensor]:
        """The weights in the scale of their table, and the index of the nearest value."""
        scaled = folded / self._along(torch.exp2(self.exponents))
        edges = (self.levels[1:] + self.levels[:-1]) / 2
        return scaled, torch.bucketize(scaled.contiguous(), edges.nan_to_num(torch.inf))

    def _tabled(self, folded: Tensor, levels: Tensor) -> Tensor:
        _, codes = self._codes(folded)
        return self.masked(levels[codes] * self._along(torch.exp2(self.exponents)))

    def _learn(self, folded: Tensor) -> None:
        """Move each shared value towards the mean of the weights that have it; 0 stays 0."""
        scaled, codes = self._codes(folded)
        free = self.mask if self.methods.zeros is not None else torch.ones_like(codes)
        count = torch.zeros(LEVELS, device=codes.device).index_add_(
            0, codes.reshape(-1), free.reshape(-1).float()
        )
        total = torch.zeros(LEVELS, device=codes.device).index_add_(
            0, codes.reshape(-1), (scaled * free).reshape(-1).float()
        )
        mean = torch.where(count > 0, total / count.clamp(min=1.0), self.levels)
        moved = torch.lerp(mean, self.levels, MEMORY)
        stays = self.levels.isinf() | (self.levels == 0)
        self.levels.copy_(torch.where(stays, self.levels, moved))


def _nearest(weights: Tensor, axis: int) -> Tensor:
    """``weights`` as 8 bits hold them, at the power of two of each channel that errs less: the
    finest that cuts nothing off, or the next, as the quantizer chooses it.
    """
    others = [i for i in range(weights.dim()) if i != axis]
    peaks = weights.abs().amax(others, keepdim=True).clamp(min=1e-30)
    first = (torch.frexp(127.49 / peaks)[1] - 1).clamp(FRAC_MIN, FRAC_MAX)
    options = [_at(weights, first + bit) for bit in range(2)]
    errors = [(option - weights).square().sum(others, keepdim=True) for option in options]
    return torch.where(errors[1] < errors[0], options[1], options[0])


def _at(weights: Tensor, frac: Tensor) -> Tensor:
    scale = torch.exp2(frac.to(weights.dtype))
    return torch.floor(weights * scale + 0.5).clamp(-128, 127) / scale
