"""Quantization-aware fine-tuning with the float network as teacher: no labels are needed.

The integer weights move, in units of their own last bit, and the biases with them, so that the
rounded network's logits follow the exact ones on the calibration rows. Scales stay. Gradients pass
through the rounding as if it were not there (Bengio et al. 2013), but not through clipping.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcuq.ir import Array, Node
from mcuq.ops import spec
from mcuq.ops.weights import along
from mcuq.qir import QTensor
from mcuq.quantize.guard import fit_rows
from mcuq.quantize.layers import own_layers
from mcuq.quantize.limits import frac_of
from mcuq.quantize.simulate import constants_of, float_outputs, output_names, rounded_pad
from mcuq.quantize.state import State
from mcuq.quantize.structure import WEIGHT_AXIS
from mcuq.reference import walk


@dataclass(frozen=True)
class Schedule:
    """``rate``: the first step of a weight in units of its last bit; it falls to 0 as a cosine."""

    steps: int = 300
    batch: int = 32
    rate: float = 0.05
    mix: float = 0.0


def distill(state: State, schedule: Schedule) -> State:
    """Weights and biases after ``schedule.steps`` steps of Adam."""
    import torch

    trainer = _Trainer(state)
    feeds = {n: torch.from_numpy(np.array(v, np.float32)) for n, v in fit_rows(state).items()}
    exact = {n: torch.from_numpy(v) for n, v in float_outputs(state, fit_rows(state)).items()}
    power = {n: v.square().mean() + 1e-30 for n, v in exact.items()}
    optimizer = torch.optim.Adam(trainer.groups(schedule.rate))
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, schedule.steps)
    random = np.random.default_rng(state.options.seed)
    count = len(next(iter(feeds.values())))
    for step in range(schedule.steps):
        rows = torch.from_numpy(random.permutation(count)[: schedule.batch])
        found = trainer.outputs({n: v[rows] for n, v in feeds.items()})
        loss = sum((found[n] - exact[n][rows]).square().mean() / power[n] for n in exact)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
        if step % 20 == 0:
            state.options.report("fine-tuning", step / schedule.steps)
    return trainer.result()


class _Trainer:
    """The rounded network with weights and biases that learn."""

    def __init__(self, state: State) -> None:
        import torch

        self._state = state
        self._rounding = _rounding()
        self._layers = own_layers(state.graph)
        self._constants = {n: torch.from_numpy(c) for n, c in constants_of(state).items()}
        self._bits = {
            w: torch.from_numpy(_integers(state.weights[w]).astype(np.float32)).requires_grad_()
            for w in (node.inputs[1] for node in self._layers)
        }
        self._units = {n: torch.from_numpy(_units(state, n)) for n in self._bits}
        self._biases = {n.inputs[2]: self._scaled_bias(n) for n in self._layers}
        self._bias_unit = {n.inputs[2]: self._bias_units(n) for n in self._layers}

    def groups(self, rate: float) -> list[dict[str, Any]]:
        return [
            {"params": list(self._bits.values()), "lr": rate},
            {"params": list(self._biases.values()), "lr": rate},
        ]

    def outputs(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        acts = self._state.acts
        start = {
            p.tensor: self._rounding(feeds[p.name], acts[p.tensor])
            for p in self._state.graph.inputs
        }
        return walk(self._state.graph.nodes, start, self._step, output_names(self._state.graph))

    def _step(self, node: Node, values: Mapping[str, Any]) -> Any:
        acts = self._state.acts
        inputs = [values[n] if n in values else self._constant(n) for n in node.inputs]
        result = spec(node.op).run_float(rounded_pad(node, acts), inputs)  # type: ignore[misc]
        return self._rounding(result, acts[node.output])

    def _constant(self, name: str) -> Any:
        if name in self._biases:
            return self._biases[name] * self._bias_unit[name]
        if name in self._bits:
            bits = self._bits[name]
            return self._rounding.whole(bits) * self._units[name]
        return self._constants[name]

    def _bias_units(self, node: Node) -> Any:
        return float(2.0 ** -frac_of(self._state.acts[node.output]))

    def _scaled_bias(self, node: Node) -> Any:
        return (self._constants[node.inputs[2]] / self._bias_units(node)).requires_grad_()

    def result(self) -> State:
        weights, biases = {}, {}
        for name, bits in self._bits.items():
            data = np.clip(np.floor(bits.detach().numpy() + 0.5), -128, 127).astype(np.int8)
            old = self._state.weights[name]
            weights[name] = QTensor(name, old.shape, "s8", old.frac, 0, data)
        for name, bias in self._biases.items():
            biases[name] = (bias * self._bias_unit[name]).detach().numpy()
        return self._state.with_weights(weights).with_biases(biases)


def _integers(weights: QTensor) -> Array:
    if weights.data is None:
        raise TypeError(f"{weights.name} is no constant")
    return weights.data


def _units(state: State, name: str) -> Array:
    node = next(n for n in own_layers(state.graph) if n.inputs[1] == name)
    weights = state.weights[name]
    scale = 2.0 ** -np.array(weights.frac, np.float64)
    return along(scale, WEIGHT_AXIS[node.op], len(weights.shape)).astype(np.float32)


def _rounding() -> Any:
    """Rounding to what an activation can hold; its gradient is 1 inside the range, else 0."""
    import torch

    class Round(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, scale: float, low: int, high: int) -> Any:
            steps = x.mul(scale).add_(0.5).floor_()
            ctx.save_for_backward((steps >= low) & (steps <= high))
            return steps.clamp_(low, high).div_(scale)

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            (inside,) = ctx.saved_tensors
            return grad * inside, None, None, None

    class Rounding:
        def __call__(self, x: Any, act: QTensor) -> Any:
            if act.kind == "s32":
                return x
            low, high = act.range
            bounds = (low - act.zero, high - act.zero)
            return Round.apply(x, 2.0 ** frac_of(act), *bounds)  # type: ignore[no-untyped-call]

        def whole(self, bits: Any) -> Any:
            return Round.apply(bits, 1.0, -128, 127)  # type: ignore[no-untyped-call]

    return Rounding()
