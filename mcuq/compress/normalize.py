"""Batch normalization while a network is tuned: it learns faster, and bears a higher rate.

Deployed networks have theirs folded into the weights. Here each convolution gets one again (Ioffe
and Szegedy 2015), the identity at first. To read the network it is folded, with the statistics of a
few typical rows.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

import torch
from torch import Tensor as TorchTensor
from torch.nn import functional

from mcuq.ir import Graph, Node
from mcuq.ops import float_of, layout_of
from mcuq.ops.clip import clamp
from mcuq.quantize.structure import weighted

EPSILON = 1e-5


class Normalization:
    """BatchNorm behind each convolution of ``graph`` whose constants are all ``free`` to change.

    ``gains``: (C,) parameters by the name of the weights, 1 at first. The bias of such a layer
    stands for what is added after normalization (``shifts``: those to start with). Outputs are
    divided by what the untuned network has as their deviation, ``scales``, so that EPSILON means
    the same everywhere.
    """

    def __init__(self, graph: Graph, free: Collection[str]) -> None:
        nodes = [n for n in weighted(graph) if layout_of(n).taps and set(n.inputs[1:]) <= set(free)]
        alone = [n for n in nodes if all(len(graph.consumers(c)) == 1 for c in n.inputs[1:])]
        self._layers = {node.name: node for node in alone}
        self.scales: dict[str, TorchTensor] = {}
        self.shifts: dict[str, TorchTensor] = {}
        self.gains = {
            node.inputs[1]: torch.ones(graph.shape(node.output)[-1], requires_grad=True)
            for node in alone
        }
        self._mean: dict[str, TorchTensor] = {}
        self._variance: dict[str, TorchTensor] = {}

    def measure(self, node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
        """Run ``node`` of the untuned network on typical inputs, and note what its output is."""
        if node.name not in self._layers:
            return float_of(node)(node, inputs)
        output = float_of(node)(_bare(node), inputs)
        flat = output.reshape(-1, output.shape[-1])
        deviation = flat.std(0, unbiased=False)
        # A channel that never changes has nothing to be normalized by.
        self.scales[node.inputs[1]] = deviation.clamp(
            min=max(1e-3 * float(deviation.mean()), 1e-12)
        )
        self.shifts[node.inputs[2]] = flat.mean(0)
        return clamp(output, node.attrs["clip"])

    def train(self, node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
        """Run ``node`` and normalize its output by the batch."""
        if node.name not in self._layers:
            return float_of(node)(node, inputs)
        return self._normalized(node, inputs, self._plain(node, inputs))

    def settle(self, node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
        """The same on typical inputs; their statistics are kept for ``folded``."""
        if node.name not in self._layers:
            return float_of(node)(node, inputs)
        output = self._plain(node, inputs)
        flat = output.float().reshape(-1, output.shape[-1])
        self._mean[node.name] = flat.mean(0)
        self._variance[node.name] = flat.var(0, unbiased=False)
        return self._normalized(node, inputs, output)

    def folded(self, values: Mapping[str, TorchTensor]) -> Iterator[tuple[str, TorchTensor]]:
        """The weights and biases that do the same without BatchNorm, by name."""
        for name, node in self._layers.items():
            _, w, b = node.inputs
            factor = self.gains[w] / torch.sqrt(self._variance[name] + EPSILON)
            yield w, values[w] * _along(factor, node)
            yield b, values[b] - self._mean[name] * factor * self.scales[w]

    def _plain(self, node: Node, inputs: Sequence[TorchTensor]) -> TorchTensor:
        """The layer's output without its bias and bounds, over ``scales``."""
        x, weights, shift = inputs
        scaled = weights / _along(self.scales[node.inputs[1]], node)
        return float_of(node)(_bare(node), [x, scaled, torch.zeros_like(shift)])

    def _normalized(
        self, node: Node, inputs: Sequence[TorchTensor], output: TorchTensor
    ) -> TorchTensor:
        gain = self.gains[node.inputs[1]] * self.scales[node.inputs[1]]
        first = output.movedim(-1, 1)
        found = functional.batch_norm(first, None, None, gain, inputs[2], True, 0.0, EPSILON)
        return clamp(found.movedim(1, -1), node.attrs["clip"])


def _bare(node: Node) -> Node:
    return node.with_attrs(clip=(-math.inf, math.inf))


def _along(values: TorchTensor, node: Node) -> TorchTensor:
    """(C,) values, to be multiplied with the weights of ``node``."""
    layout = layout_of(node)
    return values.reshape([-1 if axis == layout.outputs else 1 for axis in sorted(layout.order)])
