"""Channels that go between epochs: what is left, what it computes, and the promise for it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_networks import Attention, made, rows_for, train_steps

import mcuq
from mcuq import McuqError, train

BOARD = "mps2_an386"


class Residual(nn.Module):
    """What channels pass on their way: BatchNorm, depthwise, PReLU, a sum, concat, flatten."""

    rows = (3, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.c2, self.p = nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.PReLU(16)
        self.c3, self.b3 = nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16)
        self.c4 = nn.Conv2d(32, 8, 1)
        self.f = nn.Linear(8 * 16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.b1(self.c1(x)))
        y = x + self.b3(self.c3(self.p(self.c2(x))))
        x = functional.relu6(self.c4(torch.cat([x, y], 1)))
        return self.f(functional.avg_pool2d(x, 2).flatten(1))


class Counting(nn.Module):
    """Its forward says how many channels there are."""

    rows = (3, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.c, self.f = nn.Conv2d(3, 8, 3), nn.Linear(8 * 36, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.f(torch.relu(self.c(x)).view(-1, 8 * 36))


@pytest.fixture(scope="module")
def small() -> nn.Module:
    return train.shrink(made(Residual).eval(), rows_for(Residual), 0.5)


def test_layers_have_fewer_channels(small: nn.Module) -> None:
    """All that one sum ties together, and what reads it."""
    depth = small.c1.out_channels
    assert depth < 16
    assert (small.c2.groups, small.c2.in_channels, small.c2.out_channels) == (depth,) * 3
    assert small.b1.num_features == small.b3.num_features == small.p.num_parameters == depth
    assert small.c4.weight.shape[1] == small.c4.in_channels == 2 * depth
    assert small.f.weight.shape == (5, small.f.in_features)
    assert small.b1.running_var.shape == small.c1.weight.shape[:1] == (depth,)
    assert not small.training


def test_numbers_that_stay_are_those_of_the_module(small: nn.Module) -> None:
    """Each vector is cut at the channels that its layer's weights are cut at."""
    whole = made(Residual)
    stays = [int((whole.c1.weight == row).flatten(1).all(1).nonzero()) for row in small.c1.weight]
    for name in ("b1.weight", "b1.bias", "b1.running_mean", "b1.running_var", "p.weight"):
        assert torch.equal(small.state_dict()[name], whole.state_dict()[name][stays])
    for name in ("c2.weight", "c2.bias", "b3.running_mean"):
        assert torch.equal(small.state_dict()[name], whole.state_dict()[name][stays])


def test_it_shrinks_further_on_the_way_to_the_amount(small: nn.Module) -> None:
    x, whole = rows_for(Residual), made(Residual)
    again = train.shrink(small, x, 0.7, of=whole)
    assert again.c1.out_channels <= small.c1.out_channels
    sizes = [sum(p.numel() for p in m.parameters()) for m in (whole, small, again)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_outputs_are_those_of_the_c_after_shrinking_between_epochs() -> None:
    """With shared values, zeros and ranges that the bigger network has learned."""
    x = rows_for(Residual)
    asked = {"prune": train.Prune("2:4"), "cluster": train.Cluster("cluster:4bit", 2)}
    prepared = train.prepare(made(Residual), x, **asked)
    train_steps(prepared, x, 4)
    prepared = train.shrink(prepared, x, 0.4)
    assert isinstance(prepared, train.Prepared)
    assert int(prepared.mcuq.step) == 4
    assert prepared.c1.out_channels < 16
    train_steps(prepared, x, 4)
    prepared.eval()
    model = mcuq.compile(train.finish(prepared), name="net", board=BOARD)
    assert all(verdict.exact for verdict in model.check([]))
    (real,) = model.run(BOARD, x.numpy()).values()
    np.testing.assert_array_equal(real.astype(np.float32), prepared(x).numpy())
    weights = train.finish(prepared).data("c3.weight")
    assert len(np.unique(weights / np.abs(weights).max(axis=(1, 2, 3), keepdims=True))) > 3
    assert (weights == 0).mean() >= 0.5


def test_an_optimizer_takes_what_is_left(small: nn.Module) -> None:
    x = rows_for(Residual)
    assert all(p.is_leaf and p.requires_grad for p in small.parameters())
    losses = train.fit(small, x, torch.arange(len(x)) % 5, epochs=5)
    assert losses[-1] < losses[0]


def test_what_cannot_shrink_is_said_in_a_line() -> None:
    cases = (
        (Counting, 0.5, "forward count|fewer channels"),
        (Attention, 0.9, "would empty a layer"),
    )
    for network, amount, message in cases:
        with pytest.raises(McuqError, match=message) as caught:
            train.shrink(made(network), rows_for(network), amount)
        assert "\n" not in str(caught.value)
