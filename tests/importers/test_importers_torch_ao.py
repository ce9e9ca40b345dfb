"""Modules that torch.ao has quantized or prepared: refused in a line, before torch exports them."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import mcuq
from mcuq import McuqError, train
from mcuq.importers import from_torch

quantization = pytest.importorskip("torch.ao.quantization")
X = torch.linspace(-1, 1, 8 * 3 * 36).reshape(8, 3, 6, 6)


class Net(nn.Module):
    """A convolution and a linear layer between the stubs that eager mode asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.c, self.f = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.dequant(self.f(torch.relu(self.c(self.quant(x))).mean((2, 3))))


@pytest.fixture(scope="module")
def made() -> dict[str, nn.Module]:
    """By name: what each way of torch.ao makes of a network."""
    from torch.ao.quantization import quantize_fx

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = Net().eval()
        eager = copy.deepcopy(plain)
        eager.qconfig = quantization.get_default_qconfig("fbgemm")
        eager = quantization.prepare(eager)
        eager(X)
        linear = nn.Sequential(nn.Linear(6, 2)).eval()
        table = quantization.get_default_qconfig_mapping("fbgemm")
        fx = quantize_fx.prepare_fx(copy.deepcopy(linear), table, (X[0, 0],))
        fx(X[0, 0])
        return {
            "eager prepared": eager,
            "eager converted": quantization.convert(copy.deepcopy(eager)),
            "fx prepared": fx,
            "fx converted": quantize_fx.convert_fx(copy.deepcopy(fx)),
            "dynamic": quantization.quantize_dynamic(copy.deepcopy(linear), {nn.Linear}),
        }


CALLS: tuple[Callable[[Any, Any], Any], ...] = (from_torch, train.prepare, mcuq.compile)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("eager prepared", "'quant.activation_post_process' only observes .HistogramObserver."),
        ("eager converted", "layer 'quant' is quantized for torch alone .Quantize."),
        ("fx prepared", "'activation_post_process_0' only observes .HistogramObserver."),
        ("fx converted", "layer '0' is quantized for torch alone .Linear."),
        ("dynamic", "layer '0' is quantized for torch alone .Linear."),
    ],
)
def test_it_is_refused_in_a_line(made: dict[str, nn.Module], name: str, message: str) -> None:
    example = X if name.startswith("eager") else X[0, 0]
    for call in CALLS:
        with pytest.raises(McuqError, match=message) as caught:
            call(made[name], example)
        assert "before prepare and convert" in str(caught.value)
        assert "\n" not in str(caught.value)
