"""Runs a rounded network in float: weights and activations take only values integers can hold.

This is what the integer graph computes, but for the last bit of softmax and of exact ties. It is
fast, and one can take gradients through it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import float_of, layout_of, spec
from mcuq.ops.clip import clamp_
from mcuq.ops.parts import exact
from mcuq.qir import QTensor, frac_of
from mcuq.quantize import wide
from mcuq.quantize.reals import dequantized
from mcuq.quantize.state import State
from mcuq.quantize.structure import logits_of, never_negative
from mcuq.reference import run_exact


def fake_quantize_array(values: Array, act: QTensor) -> Array:
    """``values`` rounded to what ``act`` can hold, as float32."""
    low, high = act.range
    scale = np.float32(2.0 ** frac_of(act))
    steps = np.floor(values * scale + np.float32(0.5))
    rounded: Array = np.clip(steps, low - act.zero, high - act.zero) / scale
    return rounded


def fake_quantize(values: Any, act: QTensor) -> Any:
    """``values`` (torch) rounded to what ``act`` can hold; integers of other kinds pass."""
    if act.kind == "s32":
        return values
    low, high = act.range
    scale = 2.0 ** frac_of(act)
    steps = values.mul(scale).add_(0.5).floor_().clamp_(low - act.zero, high - act.zero)
    return steps.mul_(1.0 / scale)


def rounded_pad(node: Node, acts: Mapping[str, QTensor]) -> Node:
    """``node`` with its padding value rounded like the input that it pads."""
    for key in ("pad_value", "value"):
        if key in node.attrs:
            reals = np.array(node.attrs[key], np.float32)
            rounded = fake_quantize_array(reals, acts[node.inputs[0]])
            node = node.with_attrs(**{key: tuple(float(v) for v in rounded)})
    return node


class Simulation:
    """A rounded network with its activations over fixed rows, each computed when it is asked for.

    ``try_`` asks what would be, and costs only what follows the change; ``commit`` makes it so.
    """

    def __init__(self, state: State, feeds: Mapping[str, Array]) -> None:
        import torch

        self._torch = torch
        self._graph = state.graph
        self._acts = dict(state.acts)
        self._never = never_negative(state.graph)
        self._constants = {n: self._real(c) for n, c in constants_of(state).items()}
        self._feeds = {p.tensor: self._real(feeds[p.name]) for p in state.graph.inputs}
        self._values: dict[str, Any] = {}

    def value(self, name: str) -> Array:
        """The activation ``name`` over all rows, float32."""
        self._fill((name,), self._values, {})
        return _float32(self._values[name])

    def try_(self, names: Collection[str], acts: Mapping[str, QTensor]) -> dict[str, Array]:
        """The activations ``names`` if ``acts`` were replaced."""
        fresh = self._after(acts)
        kept = {n: v for n, v in self._values.items() if n not in fresh}
        self._fill(names, kept, acts)
        return {n: _float32(kept[n]) for n in names}

    def _real(self, values: Array) -> Any:
        """In float64, in which sums of products have the same bits on every processor."""
        return self._torch.from_numpy(np.array(values, np.float64))

    def commit(
        self,
        acts: Mapping[str, QTensor] | None = None,
        constants: Mapping[str, Array] | None = None,
    ) -> None:
        """Replace ``acts`` and float ``constants`` for good."""
        acts, constants = acts or {}, constants or {}
        self._acts.update(acts)
        self._constants.update((n, self._real(c)) for n, c in constants.items())
        for name in self._after((*acts, *constants)):
            self._values.pop(name, None)

    def _after(self, touched: Collection[str]) -> set[str]:
        """``touched``, and every tensor that depends on it."""
        found = set(touched)
        for node in self._graph.nodes:
            if found.intersection(node.inputs):
                found.add(node.output)
        return found

    def _fill(
        self,
        names: Collection[str],
        values: dict[str, Any],
        acts: Mapping[str, QTensor],
    ) -> None:
        """Compute what ``names`` need and ``values`` lack."""
        wanted = {n for n in names if n not in values}
        steps: list[Node] = []
        for node in reversed(self._graph.nodes):
            if node.output in wanted:
                steps.append(node)
                known = (values, self._constants)
                wanted.update(n for n in node.inputs if not any(n in k for k in known))
        acts = {**self._acts, **acts}
        with self._torch.no_grad():
            for name in wanted.intersection(self._feeds):
                values[name] = fake_quantize(self._feeds[name], acts[name])
            for node in reversed(steps):
                values[node.output] = self._result(node, values, acts)

    def _result(self, node: Node, values: Mapping[str, Any], acts: Mapping[str, QTensor]) -> Any:
        """What ``node`` makes of integers times a power of two: such sums are exact."""
        inputs = [
            self._constants[n] if n in self._constants else self._read(node, n, values[n], acts)
            for n in node.inputs
        ]
        node = rounded_pad(node, acts)
        add_up = spec(node.op).sums
        if add_up is None:
            result = float_of(node)(node, inputs)
        else:
            x, weights, bias = inputs
            act, axis = acts[node.inputs[0]], layout_of(node).outputs
            reach = max(abs(bound - act.zero) for bound in act.range)
            small = exact.steps_of(weights.numpy(), axis) * reach < 2**24
            fits = self._torch.float32 if small else self._torch.float64
            sums = add_up(node, x.to(fits), weights.to(fits), False).double()
            result = clamp_(sums.add_(bias), node.attrs["clip"])
        return fake_quantize(result, acts[node.output])

    def _read(self, node: Node, name: str, value: Any, acts: Mapping[str, QTensor]) -> Any:
        """The activation ``name`` as ``node`` reads it: operators of 8 bits a narrow copy."""
        act = acts[name]
        if act.kind != "s16" or not wide.is_converted(node) or wide.node_kind(node, acts) == "s16":
            return value
        return fake_quantize(value, wide.as_kind(act, "s8", name in self._never))


def _float32(values: Any) -> Array:
    """What a simulated activation holds: at most 16 bits, so nothing is lost."""
    found: Array = values.numpy()
    return found.astype(np.float32) if found.dtype == np.float64 else found


def constants_of(state: State) -> dict[str, Array]:
    """Every constant as the rounded network has it: rounded weights, corrected biases; float32."""
    tensors = state.graph.tensors.values()
    found = {t.name: np.array(t.data, np.float32) for t in tensors if t.data is not None}
    found.update((n, dequantized(w)) for n, w in state.weights.items() if n in found)
    found.update((n, b) for n, b in state.biases.items() if n in found)
    return found


def output_names(graph: Graph) -> tuple[str, ...]:
    """The tensors at which the network's error is measured: its logits."""
    return tuple(dict.fromkeys(logits_of(graph, port.tensor) for port in graph.outputs))


def float_outputs(state: State, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The exact logits over ``feeds``."""
    return run_exact(state.graph, feeds, output_names(state.graph))


def relative_error(exact: Mapping[str, Array], found: Mapping[str, Array]) -> float:
    """The mean over the outputs of noise power / signal power."""
    shares = []
    for name, reals in exact.items():
        signal = float(np.mean(np.square(reals, dtype=np.float64)))
        noise = float(np.mean(np.square(found[name] - reals, dtype=np.float64)))
        shares.append(noise / max(signal, 1e-30))
    return float(np.mean(shares))


def decibels(error: float) -> float:
    """The SQNR of a relative error.

    >>> decibels(0.001)
    30.0
    """
    return float(-10 * np.log10(max(error, 1e-30)))
