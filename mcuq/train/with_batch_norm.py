"""BatchNorm again for a network that is trained on, where its own was folded into the weights.

It learns faster with it, and bears a higher rate (``compress/normalize.py`` does so for --recover).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mcuq.errors import McuqError

Convolution = nn.Conv1d | nn.Conv2d
LEAST = 1e-3
"""Of the mean deviation of a layer's channels: one that hardly changes is not blown up."""


def with_batch_norm(module: nn.Module, example: Tensor | Sequence[Tensor]) -> nn.Module:
    """A copy of ``module`` in which each convolution with a bias has a BatchNorm behind it.

    ``example``: typical inputs, a batch each; with their statistics it computes the same as before.
    A convolution without a bias is left as it is: what follows it normalizes already. The layers
    become ``Sequential``, so their names get a ``.0``. ``prepare`` folds BatchNorm into the weights
    again. Raises ``McuqError`` if there is no such layer.
    """
    made = copy.deepcopy(module)
    layers = [m for m in made.modules() if isinstance(m, Convolution) and m.bias is not None]
    if not layers:
        reason = "has no convolution with a bias: it is normalized, or has none at all"
        raise McuqError(type(module).__name__, reason, "Train it as it is")
    outputs: dict[Convolution, list[Tensor]] = {layer: [] for layer in layers}
    hooks = [
        layer.register_forward_hook(lambda layer, _, found: outputs[layer].append(found))
        for layer in layers
    ]
    rows = [example] if isinstance(example, Tensor) else list(example)
    with torch.no_grad():
        made.eval()(*rows)
    for hook in hooks:
        hook.remove()
    for layer in layers:
        _replace(made, layer, _norm(layer, outputs[layer]))
    return made.train(module.training)


def _norm(layer: Convolution, outputs: Sequence[Tensor]) -> nn.Module:
    """The BatchNorm that gives what ``layer`` gave, which has no bias any more."""
    rows = torch.cat([found.movedim(1, 0).flatten(1) for found in outputs], 1)
    mean, variance = rows.mean(1), rows.var(1, unbiased=False)
    floor = (LEAST * variance.sqrt().mean()).square()
    variance = variance.clamp(min=float(floor))
    bias = torch.zeros_like(mean) if layer.bias is None else layer.bias.detach()
    layer.bias = None
    kind = nn.BatchNorm1d if isinstance(layer, nn.Conv1d) else nn.BatchNorm2d
    norm = kind(len(mean)).to(mean)
    numbers = {
        "weight": (variance + norm.eps).sqrt(),
        "bias": mean,
        "running_mean": mean - bias,
        "running_var": variance,
    }
    norm.load_state_dict(numbers, strict=False)
    return norm


def _replace(module: nn.Module, layer: Convolution, norm: nn.Module) -> None:
    """Put ``norm`` behind ``layer`` wherever it lies in ``module``."""
    both = nn.Sequential(layer, norm)
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if child is layer and parent is not both:
                setattr(parent, name, both)
