"""The rounding of an activation in training: what its integers hold, with gradients through it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mcuq.compress.tuning import passes
from mcuq.fixed import RANGES
from mcuq.qir import QTensor, frac_of

SAMPLE = 8192
"""About so many values of a batch say which numbers err least."""

CHANGES = (0, -1, 0, 1)
"""Of the frac; the first keeps the zero as it is, the others put the range into the middle."""

MEMORY = 0.9
"""What a batch leaves of the averages over the ones before it."""

SURE = 8
"""So many batches are averaged before the numbers move."""

BETTER = 0.9
"""Other numbers must err less than so many times as much: they do not move to and fro."""


class Activation(nn.Module):
    """``values -> values`` as the integers of ``act`` hold them.

    ``moves``: the numbers follow the batches that pass while ``watching``; not those that an
    operator dictates. ``learned``: the range is a parameter instead, ``log2``. ``never``: no value
    is negative. ``signed``: the zero is 0 then, as it is -128 for those.
    """

    frac: Tensor
    zero: Tensor
    span: Tensor
    errors: Tensor
    seen: Tensor

    def __init__(self, act: QTensor, moves: bool, learned: bool, never: bool, signed: bool) -> None:
        super().__init__()
        self.bounds = RANGES[act.kind]
        self.kind, self.moves, self.never = act.kind, moves, never
        self.plain = never or signed or act.kind != "s8"
        self.watching = False
        zero = 0 if signed and not never else act.zero
        self.register_buffer("frac", torch.tensor(frac_of(act)))
        self.register_buffer("zero", torch.tensor(zero))
        self.register_buffer("span", torch.zeros(2))
        self.register_buffer("errors", torch.zeros(len(CHANGES)))
        self.register_buffer("seen", torch.tensor(0))
        self.log2: nn.Parameter | None = None
        if learned and moves:
            self.log2 = nn.Parameter(torch.tensor(-float(frac_of(act)) - 0.5))

    def forward(self, values: Tensor) -> Tensor:
        if self.log2 is not None:
            return self._learned(values, self.log2)
        if self.watching and self.moves:
            with torch.no_grad():
                self._watch(values)
        return self._rounded(values)

    def act(self, name: str) -> QTensor:
        """The numbers as the quantizer has them."""
        frac = self.frac if self.log2 is None else -torch.ceil(self.log2.detach())
        return QTensor(name, (), self.kind, int(frac), int(self.zero))

    def _rounded(self, values: Tensor) -> Tensor:
        """Gradients pass where nothing is cut off."""
        scale = torch.exp2(self.frac.to(values.dtype))
        low, high = (bound - self.zero for bound in self.bounds)
        found: Tensor = _Rounding.apply(values, scale, low, high)  # type: ignore[no-untyped-call]
        return found

    def _learned(self, values: Tensor, log2: Tensor) -> Tensor:
        """Gradients of rounding, and of what is cut off, reach the range."""
        step = torch.exp2(log2 + (torch.ceil(log2) - log2).detach())
        low, high = (bound - self.zero for bound in self.bounds)
        count = values / step
        count = passes(count, torch.floor(count.detach() + 0.5))
        return torch.maximum(torch.minimum(count, high), low) * step

    def _watch(self, values: Tensor) -> None:
        """Average the range, and the errors of this and of neighbouring numbers; take the best."""
        flat = values.detach().reshape(-1)
        span = torch.stack(torch.aminmax(flat)).float()
        old = MEMORY * (self.seen > 0)
        self.span.copy_(old * self.span + (1 - old) * span)
        flat = flat[:: max(1, flat.numel() // SAMPLE)]
        fracs = self.frac + self.frac.new_tensor(CHANGES)
        zeros = torch.cat([self.zero[None], self._zeros_for(fracs[1:])])
        errors = self._errors(flat, fracs, zeros)
        self.errors.copy_(old * self.errors + (1 - old) * errors)
        best = self.errors.argmin()
        move = (self.seen >= SURE) & (self.errors[best] < BETTER * self.errors[0])
        self.seen.copy_(torch.where(move, 0, self.seen + 1))
        self.frac.copy_(torch.where(move, fracs[best], self.frac))
        self.zero.copy_(torch.where(move, zeros[best], self.zero))

    def _errors(self, flat: Tensor, fracs: Tensor, zeros: Tensor) -> Tensor:
        """(len(fracs),) mean squared errors of rounding ``flat`` with each of the numbers."""
        scale = torch.exp2(fracs.to(flat.dtype))[:, None]
        low, high = (bound - zeros[:, None] for bound in self.bounds)
        return (_steps(flat, scale, low, high) - flat).square().mean(1).float()

    def _zeros_for(self, fracs: Tensor) -> Tensor:
        """As ``quantize.ranges.candidates.middle``, for each of ``fracs``."""
        if self.plain:
            return self.zero.expand(len(fracs))
        scale = torch.exp2(fracs.float())
        low, high = self.span.unbind()
        first = -128 - torch.floor(low.clamp(max=0.0) * scale + 0.5)
        last = 127 - torch.floor(high.clamp(min=0.0) * scale + 0.5)
        return torch.floor((first + last + 1) / 2).clamp(-128, 127).to(self.zero.dtype)


class _Rounding(torch.autograd.Function):
    """``_steps``; one mask is all that the gradient needs, and one product."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: Tensor, low: Tensor, high: Tensor) -> Tensor:
        steps = torch.mul(values, scale).add_(0.5).floor_()
        found = steps.clamp(low, high)
        ctx.save_for_backward(steps == found)
        return found.div_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None, None


def _steps(values: Tensor, scale: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """``values`` rounded half up to multiples of ``1 / scale`` within ``low``..``high`` of them."""
    return torch.floor(values * scale + 0.5).clamp(low, high) / scale
