"""Trained networks with data for ``compression``: they need the data sets in ``../shared``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.networks import NETWORKS, ResNet8
from mcuq.compress.augment import Augment
from mcuq.importers import from_torch, load
from mcuq.ir import Array, Graph, to_memory
from mcuq.passes import pipeline

SHARED = Path(__file__).parents[2] / "shared"
DATA = SHARED / "data"


@dataclass(frozen=True)
class Case:
    """A float network, its training rows and labels, and test sets by name; internal order.

    ``module``: the same with logits, for rows as (N, C, H, W).
    """

    name: str
    module: nn.Module
    graph: Graph
    train: Array
    labels: Array
    tests: Mapping[str, tuple[Array, Array]]

    def feeds(self, rows: Array) -> dict[str, Array]:
        return {self.graph.inputs[0].name: rows}


def cases() -> dict[str, Callable[[Path], Case]]:
    """How to make each case; a folder keeps the networks that were trained."""
    return {"ic": _ic, "kws": _kws, "article": _article}


def _ic(work: Path) -> Case:
    file = SHARED / "models" / "ic.onnx"
    graph = pipeline.run(load(file))
    x, y, x_test, y_test = _cifar()
    return Case("ic", _res_net(file), graph, x, y, {"test": (x_test, y_test)})


_RES_NET = (
    "first", "blocks.0.0", "blocks.0.1",
    "shortcuts.1", "blocks.1.0", "blocks.1.1",
    "shortcuts.2", "blocks.2.0", "blocks.2.1", "classify",
)  # fmt: skip
"""The layers in the order of the file."""


def _res_net(file: Path) -> nn.Module:
    """ResNet8 with the numbers of an ONNX file, without its softmax."""
    module = ResNet8(softmax=False).eval()
    state: dict[str, Tensor] = {}
    given = iter(onnx.load(file).graph.initializer)
    for name in _RES_NET:
        for kind in ("weight", "bias"):
            place = f"{name}.{kind}" if name == "classify" else f"{name}.conv.{kind}"
            state[place] = torch.from_numpy(onnx.numpy_helper.to_array(next(given)).copy())
    module.load_state_dict(state)
    return module


def _cifar() -> tuple[Array, Array, Array, Array]:
    """Images of CIFAR-10, (N, 32, 32, 3) raw 0..255, and classes."""
    with np.load(DATA / "cifar10.npz") as file:
        x, x_test = (file[name].astype(np.float32) for name in ("x_train", "x_test"))
        return x, file["y_train"].astype(np.int64), x_test, file["y_test"].astype(np.int64)


def _article(work: Path) -> Case:
    """The article's network, trained on 10,000 images in 0..1."""
    x, y, x_test, y_test = _cifar()
    images = x.transpose(0, 3, 1, 2) / 255
    module = _trained(work / "article.pt", _article_module, images, y, 16, Augment(True, 4))
    graph = pipeline.run(from_torch(module, torch.zeros(1, 3, 32, 32)))
    tests = {"test": (x_test / 255, y_test)}
    return Case("article", module, graph, x / 255, y, tests)


def _article_module() -> nn.Module:
    *body, classify = NETWORKS["article"].make().children()
    return nn.Sequential(*body, nn.Dropout(0.3), classify)


def _kws(work: Path) -> Case:
    """A DS-CNN with BatchNorm, trained on the MFCCs of spoken digits of four speakers."""
    with np.load(DATA / "fsdd.npz") as file:
        x, y, split = file["mfcc"], file["y"].astype(np.int64), file["split"]
    scaled = x[:, None].astype(np.float32)
    fit = split == 0
    module = _trained(work / "kws.pt", _ds_cnn, scaled[fit], y[fit], 40, Augment(shift=2))
    graph = pipeline.run(from_torch(module, torch.zeros(1, 1, 49, 10)))
    port = graph.inputs[0]
    rows = to_memory(port, graph.shape(port.tensor), scaled)
    tests = {
        "same speakers": (rows[split == 1], y[split == 1]),
        "other speakers": (rows[split == 2], y[split == 2]),
    }
    return Case("kws", _logits(module), graph, rows[fit], y[fit], tests)


def _logits(module: nn.Module) -> nn.Module:
    """A chain of layers without its final softmax."""
    return nn.Sequential(*(part for part in module.children() if not isinstance(part, nn.Softmax)))


def _ds_cnn() -> nn.Module:
    """The keyword network of MLPerf Tiny, for 10 classes, as one trains it."""
    layers: list[nn.Module] = [
        nn.ZeroPad2d((1, 1, 4, 5)),
        nn.Conv2d(1, 64, (10, 4), 2, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.Dropout(0.2),
    ]  # fmt: skip
    for _ in range(4):
        layers += [
            nn.Conv2d(64, 64, 3, 1, 1, groups=64, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Conv2d(64, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        ]  # fmt: skip
    head = [nn.Dropout(0.4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*layers, *head, nn.Softmax(-1))


def _trained(
    file: Path,
    make: Callable[[], nn.Module],
    x: Array,
    y: Array,
    epochs: int,
    augment: Augment,
) -> nn.Module:
    """``make()`` trained on (N, C, H, W) rows, or as it was trained before into ``file``."""
    torch.manual_seed(0)
    module = make()
    if file.exists():
        module.load_state_dict(torch.load(file, weights_only=True))
        return module.eval()
    optimizer = torch.optim.AdamW(module.parameters(), 2e-3, weight_decay=0.02)
    steps = epochs * -(-len(x) // 64)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    chance = np.random.default_rng(0)
    module.train()
    for epoch in range(epochs):
        for rows in np.array_split(chance.permutation(len(x)), -(-len(x) // 64)):
            part = augment({"x": x[rows].transpose(0, 2, 3, 1)}, chance)["x"]
            images = torch.from_numpy(np.ascontiguousarray(part.transpose(0, 3, 1, 2)))
            loss = _loss(module, images, torch.from_numpy(y[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
        print(f"{file.stem}: epoch {epoch + 1} of {epochs}", flush=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(module.state_dict(), file)
    return module.eval()


def _loss(module: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """The cross entropy of the logits: what a final softmax reads."""
    layers = list(module.children())
    body = layers[:-1] if isinstance(layers[-1], nn.Softmax) else layers
    output = images
    with torch.autocast("cpu", torch.bfloat16):
        for layer in body:
            output = layer(output)
    return functional.cross_entropy(output.float(), classes, label_smoothing=0.05)
