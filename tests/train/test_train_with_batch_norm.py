"""BatchNorm again where it was folded away: the network computes what it did."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mcuq import McuqError, train


class Folded(nn.Module):
    """Convolutions with a bias, one of them used twice, and one that has its BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.again = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.other = nn.Sequential(nn.Conv2d(8, 6, 1, bias=False), nn.BatchNorm2d(6))
        self.last = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        x = torch.relu(self.again(torch.relu(self.again(x))))
        classes: Tensor = self.last(self.other(x).mean((2, 3)))
        return classes


def test_it_computes_the_same_with_batchnorm_behind_each_bias() -> None:
    module, x = Folded().eval(), torch.randn(64, 3, 8, 8)
    made = train.with_batch_norm(module, x)
    torch.testing.assert_close(made(x), module(x), rtol=1e-4, atol=1e-5)
    norms = {name for name, part in made.named_modules() if isinstance(part, nn.BatchNorm2d)}
    assert norms == {"first.1", "again.1", "other.1"}
    assert not made.training
    assert "first.bias" in module.state_dict()


def test_training_statistics_are_those_of_the_example() -> None:
    """In training mode the batch itself gives them: of a layer that is used once."""
    torch.manual_seed(0)
    module, x = nn.Sequential(nn.Conv1d(2, 5, 3), nn.ReLU()), torch.randn(32, 2, 16)
    made = train.with_batch_norm(module.eval(), x).train()
    torch.testing.assert_close(made(x), module(x), rtol=1e-3, atol=1e-4)


def test_it_is_prepared_as_any_other() -> None:
    x = torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    prepared = train.prepare(train.with_batch_norm(Folded().eval(), x), x)
    prepared(x).square().mean().backward()
    prepared.eval()
    (classes,) = prepared.integers(x).values()
    assert classes.shape == (32, 4)


def test_a_network_without_folded_convolutions_is_refused() -> None:
    with pytest.raises(McuqError, match="no convolution with a bias"):
        train.with_batch_norm(nn.Linear(3, 2), torch.randn(4, 3))
