"""A network in torch, and one whose constants an optimizer can change: the student.

Its parameters are the free numbers of each weight and bias in units of their channel's own size,
so one learning rate suits all layers, also where BatchNorm was folded into them. With ``quantized``
the forward pass rounds weights (a power of two per channel) and activations (a power of two per
tensor) to 8 bits, and gradients pass straight through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor as TorchTensor

from mcuq.compress.constraint import Constraint
from mcuq.compress.normalize import Normalization
from mcuq.ir import Array, Graph, Node, Port, rebuild, with_data
from mcuq.ops import float_of, has_weights, layout_of, spec
from mcuq.ops.parts.layout import axes_but
from mcuq.ops.parts.weights import FRAC_MAX, FRAC_MIN
from mcuq.ops.spec import RunFloat
from mcuq.qir import QTensor, frac_of
from mcuq.quantize.ranges.scales import minmax_frac
from mcuq.quantize.simulate import fake_quantize_array
from mcuq.quantize.structure import activations, never_negative, weighted
from mcuq.reference import float_constants, run_float, walk

OBSERVED = 128
"""Rows from which the ranges of activations are taken."""

TYPICAL = 1024
"""At most so many rows give the statistics of BatchNorm, fewer of large images."""

MOST_VALUES = 2**25
"""So many values an activation may have over them."""


def typical_rows(graph: Graph) -> int:
    """How many rows a ``Student`` of ``graph`` is to be shown."""
    largest = max(math.prod(graph.shape(node.output)) for node in graph.nodes)
    return max(OBSERVED, min(TYPICAL, MOST_VALUES // largest))


def tuned_names(graph: Graph) -> tuple[str, ...]:
    """The constants that tuning changes: weights, biases, and scales of BatchNorm."""
    nodes = [node for node in graph.nodes if spec(node.op).per_channel]
    return tuple(dict.fromkeys(name for node in nodes for name in node.inputs[1:]))


class Forward:
    """``graph`` as far as ``wanted``, a function of its inputs (internal order) in torch."""

    def __init__(self, graph: Graph, wanted: Collection[str]) -> None:
        ends = tuple(Port(name, name, graph.shape(name)) for name in dict.fromkeys(wanted))
        self.part = rebuild(replace(graph, outputs=ends), graph.nodes, graph.tensors)
        self.constants = float_constants(self.part)

    def __call__(
        self,
        feeds: Mapping[str, Array],
        constants: Mapping[str, TorchTensor] | None = None,
        through: Callable[[str, TorchTensor], TorchTensor] = lambda name, values: values,
        run: RunFloat = lambda node, inputs: float_of(node)(node, inputs),
    ) -> dict[str, TorchTensor]:
        """The wanted values by name, float32; some ``constants`` given anew.

        Every activation goes ``through`` a function of its name and value; ``run`` runs each node.
        """
        known = {**self.constants, **(constants or {})}

        def step(node: Node, values: Mapping[str, TorchTensor]) -> TorchTensor:
            inputs = [known[n] if n in known else values[n] for n in node.inputs]
            return through(node.output, run(node, inputs))

        start = {p.tensor: torch.from_numpy(feeds[p.name]) for p in self.part.inputs}
        start = {name: through(name, values) for name, values in start.items()}
        found = walk(self.part.nodes, start, step, {p.tensor for p in self.part.outputs})
        return {name: values.float() for name, values in found.items()}


class Student:
    """``graph`` as far as ``wanted``, with parameters; ``feeds`` show how large its values are.

    ``normalized``: its convolutions have BatchNorm while they are trained (``normalize.py``).
    """

    def __init__(
        self,
        graph: Graph,
        wanted: Collection[str],
        constraints: Mapping[str, Constraint],
        feeds: Mapping[str, Array],
        quantized: bool,
        normalized: bool = False,
    ) -> None:
        self.graph = graph
        self._forward = Forward(graph, wanted)
        self._part = self._forward.part
        names = tuned_names(self._part)
        self._constraints = {n: constraints.get(n, Constraint("mask")) for n in names}
        self._follow = {n: c.parametrise() for n, c in self._constraints.items()}
        self._axis = {n.inputs[1]: layout_of(n).outputs for n in weighted(graph)}
        self._typical = dict(feeds)
        self._feeds = {n: v[:: -(-len(v) // OBSERVED)] for n, v in feeds.items()}
        sizes = _sizes(self._part, self._feeds)
        free = [n for n, c in self._constraints.items() if c.kind == "mask"]
        self._normalization = Normalization(self._part, free if normalized else ())
        self._pass(self._forward.constants, self._normalization.measure)
        self._unit: dict[str, TorchTensor] = {}
        self._free: dict[str, TorchTensor] = {}
        for name, constraint in self._constraints.items():
            unit = _never_tiny(constraint.free(sizes[name]))
            self._unit[name] = torch.from_numpy(unit)
            shift = self._normalization.shifts.get(name)
            data = graph.data(name) if shift is None else shift.numpy()
            start = torch.from_numpy(constraint.free(data) / unit)
            self._free[name] = start.requires_grad_()
        self.parameters = (*self._free.values(), *self._normalization.gains.values())
        self._acts: dict[str, QTensor] | None = {} if quantized else None

    def train(self, feeds: Mapping[str, Array]) -> dict[str, TorchTensor]:
        """The wanted values by name, differentiable, of a batch to learn from."""
        values = self._values(self._acts is not None)
        return self._forward(feeds, values, self._rounded, self._normalization.train)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, TorchTensor]:
        """The same as the network will be, as it was when last observed."""
        return self._forward(feeds, self._constants(self._acts is not None), self._rounded)

    def observe(self) -> None:
        """Take from typical inputs what the parameters as they are now call for: the statistics of
        BatchNorm, and the power of two of every activation.
        """
        self._pass(self._values(False), self._normalization.settle)
        if self._acts is None:
            return
        part = self._with(self._part)
        never = never_negative(part)
        values = run_float(part, self._feeds)
        self._acts = {n: _act(n, values[n], n in never) for n in activations(part)}

    def _pass(self, values: Mapping[str, TorchTensor], run: RunFloat) -> None:
        """Show the layers with BatchNorm, if there are any, typical inputs."""
        if self._normalization.gains:
            with torch.no_grad():
                self._forward(self._typical, values, run=run)

    @property
    def numbers(self) -> Array:
        """(activations, 2) the fracs and zeros that ``observe`` chose, for a checkpoint."""
        chosen = [(act.frac, act.zero) for act in (self._acts or {}).values()]
        return np.array(chosen, np.int64).reshape(-1, 2)

    @numbers.setter
    def numbers(self, numbers: Array) -> None:
        if self._acts is not None:
            names = activations(self._part)[: len(numbers)]
            pairs = zip(names, numbers.tolist(), strict=True)
            self._acts = {n: QTensor(n, self._part.shape(n), "s8", *pair) for n, pair in pairs}

    def finished(self) -> Graph:
        """``graph`` with the constants as tuned; each obeys its constraint exactly."""
        return self._with(self.graph)

    def _with(self, graph: Graph) -> Graph:
        with torch.no_grad():
            values = self._constants(False)
        made = {name: self._constraints[name].project(values[name].numpy()) for name in values}
        return with_data(graph, made)

    def _constants(self, rounded: bool) -> dict[str, TorchTensor]:
        """The constants by name, without BatchNorm."""
        values = self._values(rounded)
        return {**values, **dict(self._normalization.folded(values))}

    def _values(self, rounded: bool) -> dict[str, TorchTensor]:
        values = {}
        for name, parameter in self._free.items():
            value = self._follow[name](parameter * self._unit[name])
            if rounded and name in self._axis:
                value = passes(value, _rounded_weights(value.detach(), self._axis[name]))
            values[name] = value
        return values

    def _rounded(self, name: str, values: TorchTensor) -> TorchTensor:
        act = self._acts.get(name) if self._acts else None
        if act is None:
            return values
        scale = 2.0 ** frac_of(act)
        low, high = act.range
        with torch.no_grad():
            steps = values.mul(scale).add_(0.5).floor_()
            steps.clamp_(low - act.zero, high - act.zero).div_(scale)
        return passes(values, steps)


class _Passes(torch.autograd.Function):
    """The second argument, with the gradient going to the first."""

    @staticmethod
    def forward(ctx: Any, values: TorchTensor, rounded: TorchTensor) -> TorchTensor:
        return rounded

    @staticmethod
    def backward(ctx: Any, gradient: TorchTensor) -> tuple[TorchTensor, None]:
        return gradient, None


passes: Callable[[TorchTensor, TorchTensor], TorchTensor] = _Passes.apply


def _rounded_weights(weights: TorchTensor, axis: int) -> TorchTensor:
    """``weights`` as 8 bits hold them, with the finest power of two of each channel."""
    peaks = weights.abs().amax(axes_but(axis, weights.dim()), keepdim=True).clamp(min=1e-30)
    scale = torch.exp2((127.49 / peaks).log2().floor().clamp(FRAC_MIN, FRAC_MAX))
    return weights.mul(scale).add_(0.5).floor_().clamp_(-128, 127).div_(scale)


def _act(name: str, values: Array, never_negative: bool) -> QTensor:
    """The numbers at which rounding and clipping ``values`` err least."""
    zero = -128 if never_negative else 0
    first = minmax_frac(float(values.min()), float(values.max()), zero)
    acts = [QTensor(name, values.shape, "s8", first + bits, zero) for bits in range(3)]
    sample = values.reshape(-1)[:: max(1, values.size // 50_000)]
    errors = [float(np.mean((fake_quantize_array(sample, act) - sample) ** 2)) for act in acts]
    return acts[int(np.argmin(errors))]


def _sizes(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """How large a change matters, of every tuned constant and of its shape.

    Of weights the root mean square of their channel, of biases and shifts that of the output.
    """
    nodes = [n for n in graph.nodes if spec(n.op).per_channel]
    outputs = run_float(graph, feeds, {node.output for node in nodes})
    found = {}
    for node in nodes:
        data = graph.data(node.inputs[1])
        axis = layout_of(node).outputs if has_weights(node) else 0
        size = _root_mean_square(data, axes_but(axis, data.ndim))
        found[node.inputs[1]] = np.broadcast_to(size, data.shape)
        shift = _root_mean_square(outputs[node.output], range(outputs[node.output].ndim - 1))
        found[node.inputs[2]] = _never_tiny(shift.reshape(-1))
    return found


def _root_mean_square(values: Array, axes: Collection[int]) -> Array:
    squares = np.square(values, dtype=np.float64)
    root: Array = np.sqrt(squares.mean(tuple(axes), keepdims=True))
    return root


def _never_tiny(sizes: Array) -> Array:
    """``sizes`` raised to a tenth of their mean: a channel of zeros can still learn."""
    mean = float(sizes.mean()) if sizes.size else 1.0
    raised: Array = np.maximum(sizes, 0.1 * mean if mean > 0 else 1e-3).astype(np.float32)
    return raised
