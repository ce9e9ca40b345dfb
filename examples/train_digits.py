"""Train the demo's network on scikit-learn's digits and export it: ``digits.onnx``.

8x8 grey images (0..1, NCHW), ten classes, a small residual CNN. Takes about half a minute; the
exported file stands beside this script, so nobody has to run it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from torch import nn

HERE = Path(__file__).parent
HELD_OUT = 450


class DigitsNet(nn.Module):
    """Convolutions with batch norm, one residual block, average pooling and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = _block(1, 16, 1)
        self.left = _block(16, 16, 1)
        self.right = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16))
        self.wide = _block(16, 32, 2)
        self.classify = nn.Linear(32, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 1, 8, 8) -> (N, 10) logits."""
        x = self.first(images)
        x = torch.relu(x + self.right(self.left(x)))
        return self.classify(self.wide(x).mean((2, 3)))


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, held-out images and labels; the same on every machine."""
    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)[:, None]
    order = np.random.default_rng(0).permutation(len(images))
    kept, held = order[HELD_OUT:], order[:HELD_OUT]
    return images[kept], digits.target[kept], images[held], digits.target[held]


def train(epochs: int = 60) -> DigitsNet:
    """The trained network, in eval mode."""
    torch.manual_seed(0)
    images, labels, _, _ = split()
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    model = DigitsNet()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return model.eval()


def main() -> None:
    """Train, report the held-out accuracy, and export."""
    model = train()
    _, _, images, labels = split()
    with torch.no_grad():
        found = model(torch.from_numpy(images)).argmax(1).numpy()
    print(f"held-out accuracy: {(found == labels).mean():.4f}")
    example = (torch.zeros(1, 1, 8, 8),)
    names = {"input_names": ["image"], "output_names": ["logits"]}
    exported = torch.onnx.export(model, example, verbose=False, **names).model_proto
    strip_metadata(exported)
    onnx.save(exported, HERE / "digits.onnx")


def strip_metadata(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes, which hold stack traces with paths of the exporting machine."""
    holders = [model, model.graph, *model.graph.node, *model.graph.value_info]
    holders += [*model.graph.input, *model.graph.output, *model.graph.initializer]
    for holder in holders:
        del holder.metadata_props[:]
        holder.doc_string = ""


if __name__ == "__main__":
    main()
