"""Small networks that torchao has quantized (PT2E): 8 bits, weights per channel."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def networks() -> dict[str, tuple[nn.Module, torch.Tensor]]:
    """By name: a small CNN and a small MLP with seeded numbers, and typical inputs."""
    torch.manual_seed(0)
    cnn = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5),
    )  # fmt: skip
    mlp = nn.Sequential(
        nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4)
    )
    return {"cnn": (cnn.eval(), torch.randn(64, 3, 8, 8)), "mlp": (mlp.eval(), torch.randn(64, 12))}


def quantized(module: nn.Module, x: torch.Tensor, symmetric: bool = False) -> nn.Module:
    """What ``convert_pt2e`` makes of it; ``symmetric``: of the activations, too."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    exported = torch.export.export(module, (x[:1],)).module(check_guards=False)
    prepared = prepare_pt2e(exported, _quantizer(symmetric))
    prepared(x[:1])
    for row in x.split(1):
        prepared(row)
    return convert_pt2e(prepared)


def _quantizer(symmetric: bool) -> Any:
    from torchao.quantization.pt2e.observer import (
        HistogramObserver,
        MinMaxObserver,
        PerChannelMinMaxObserver,
    )
    from torchao.quantization.pt2e.quantizer import (
        QuantizationAnnotation,
        QuantizationSpec,
        Quantizer,
    )

    act = QuantizationSpec(
        dtype=torch.int8,
        observer_or_fake_quant_ctr=MinMaxObserver if symmetric else HistogramObserver,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine,
        is_dynamic=False,
    )
    weight = QuantizationSpec(
        dtype=torch.int8,
        observer_or_fake_quant_ctr=PerChannelMinMaxObserver,
        quant_min=-127,
        quant_max=127,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
        is_dynamic=False,
    )
    layers = (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default)
    others = (
        torch.ops.aten.relu.default, torch.ops.aten.tanh.default,
        torch.ops.aten.max_pool2d.default, torch.ops.aten.adaptive_avg_pool2d.default,
    )  # fmt: skip

    class Everywhere(Quantizer):  # type: ignore[misc]
        """Every layer and activation reads and writes 8 bits; a ReLU shares its layer's output."""

        def annotate(self, model: Any) -> Any:
            for node in model.graph.nodes:
                if node.target in layers:
                    pairs = {node.args[0]: act, node.args[1]: weight}
                    fused = [u for u in node.users if u.target == torch.ops.aten.relu.default]
                    output = None if fused else act
                    node.meta["quantization_annotation"] = QuantizationAnnotation(
                        pairs, output, True
                    )
                elif node.target in others:
                    after = node.args[0].target in layers
                    pairs = {} if after else {node.args[0]: act}
                    node.meta["quantization_annotation"] = QuantizationAnnotation(pairs, act, True)
            return model

        def validate(self, model: Any) -> None:
            pass

    return Everywhere()
