"""Factors of channels by the noise that they are expected to cause at the network's output.

Larger factors make the rounding of a channel's activations finer, as far as they do not widen the
range of the whole tensor; and they make the weights that read the channel smaller, next to which
those of other channels are rounded more coarsely. With ``f`` the factors, ``h`` the largest
magnitudes, ``a`` the sensitivities and ``v`` the variances of the channels:

    activations   max(f h)**2 * sum(a / f**2) / 12 / 255**2
    weights       sum over outputs o of  b[o] * max(|w[o]| / f)**2 * sum(f**2 v) / 12 / 127**2

The sum is convex in the logarithms of the factors (a geometric program), so descent finds its
least value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array
from mcuq.ops.spec import TorchTensor
from mcuq.quantize.equalize.weight_noise import Reader

STEPS = 150
SHARPNESS = 24.0
"""The maximum is taken as a norm of this order, which has a gradient everywhere."""

RATE = 0.06
SPREAD = 12.0
"""Factors differ by at most so many powers of two."""


@dataclass(frozen=True, eq=False)
class Activations:
    """One tensor: (C,) magnitudes, and sensitivities times the share of values that round."""

    peak: Array
    weight: Array
    steps: float

    @property
    def loud(self) -> bool:
        """Whether it makes any noise."""
        return bool((self.peak.max() * self.weight).max() > 0)


def balance(tensors: Sequence[Activations], readers: Sequence[Reader], trade: float) -> Array:
    """(C,) factors; the noise of the weights counts ``trade`` times."""
    import torch

    peaks = np.max([t.peak / max(t.peak.max(), 1e-30) for t in tensors], axis=0)
    peaks = np.where(peaks > 0, np.maximum(peaks, 2.0**-SPREAD), 1.0)  # dead channels stay
    start = -np.log(peaks)
    log = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    known: list[_Activation | _Layer] = [_Activation(t) for t in tensors if t.loud]
    known += [_Layer(r, trade) for r in readers if r.loud]
    if not known:
        return np.ones(len(start))
    descent = torch.optim.Adam([log], RATE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(descent, STEPS)
    for _ in range(STEPS):
        total = torch.stack([term.noise(log) for term in known]).sum()
        (log.grad,) = torch.autograd.grad(total.log(), log)
        descent.step()
        decay.step()
    found = np.asarray(log.detach().numpy())
    factors: Array = np.exp(np.minimum(found - found.min(), SPREAD * np.log(2.0)))
    return factors


class _Activation:
    def __init__(self, tensor: Activations) -> None:
        import torch

        live = tensor.peak > 0
        self._peak = torch.tensor(np.log(np.where(live, tensor.peak, 1.0)))
        self._live = torch.tensor(live)
        self._weight = torch.tensor(tensor.weight / 12 / tensor.steps**2)

    def noise(self, log: TorchTensor) -> TorchTensor:
        top = _greatest((log + self._peak)[self._live])
        return (2 * top).exp() * (self._weight * (-2 * log).exp()).sum()


class _Layer:
    def __init__(self, layer: Reader, trade: float) -> None:
        import torch

        floor = layer.weights.max(initial=0.0) * 1e-9
        self._weights = torch.tensor(np.log(np.maximum(layer.weights, floor)))
        self._weight = torch.tensor(layer.weight * trade / 12 / 127**2)
        self._variance = torch.tensor(layer.variance)

    def noise(self, log: TorchTensor) -> TorchTensor:
        top = _greatest(self._weights - log)
        return (self._weight * (2 * top).exp()).sum() * (self._variance * (2 * log).exp()).sum()


def _greatest(values: TorchTensor) -> TorchTensor:
    """The greatest of the last axis, nearly, of logarithms."""
    return (values * SHARPNESS).logsumexp(-1) / SHARPNESS
