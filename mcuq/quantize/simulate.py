"""Runs a rounded network in float: weights and activations take only values integers can hold.

This is what the integer graph computes, but for the last bit of softmax and of exact ties. It is
fast, and one can take gradients through it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from mcuq.ir import Array, Graph, Node
from mcuq.ops import spec
from mcuq.qir import QTensor
from mcuq.quantize.limits import frac_of
from mcuq.quantize.state import State
from mcuq.quantize.structure import logits_of
from mcuq.reference import run_float


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
    return values.mul(scale).add_(0.5).floor_().clamp_(low - act.zero, high - act.zero) / scale


def dequantized(weights: QTensor) -> Array:
    """The reals that integer weights stand for, float32."""
    if weights.data is None or isinstance(weights.frac, int):
        raise TypeError(f"{weights.name} holds no weights with a frac per channel")
    shape = weights.shape
    axis = next(i for i in weight_axes(shape) if shape[i] == len(weights.frac))
    spread = [-1 if i == axis else 1 for i in range(len(shape))]
    scale = 2.0 ** -np.array(weights.frac, np.float64).reshape(spread)
    return (weights.data * scale).astype(np.float32)


def weight_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Where the channel axis may be: first, but last for depthwise weights (rank 3)."""
    return (2,) if len(shape) == 3 else (0,)


def rounded_pad(node: Node, acts: Mapping[str, QTensor]) -> Node:
    """``node`` with its padding value rounded like the input that it pads."""
    for key in ("pad_value", "value"):
        if key in node.attrs:
            reals = np.array(node.attrs[key], np.float32)
            rounded = fake_quantize_array(reals, acts[node.inputs[0]])
            node = node.with_attrs(**{key: tuple(float(v) for v in rounded)})
    return node


class Simulation:
    """A rounded network with its activations over fixed rows; changes cost only what follows them.

    Its identity is the rows; ``try_`` does not change it, ``commit`` does.
    """

    def __init__(self, state: State, feeds: Mapping[str, Array]) -> None:
        import torch

        self._torch = torch
        self._graph = state.graph
        self._acts = dict(state.acts)
        self._weights = {n: torch.from_numpy(dequantized(w)) for n, w in state.weights.items()}
        self._constants = {
            n: torch.from_numpy(np.array(t.data, np.float32))
            for n, t in state.graph.tensors.items()
            if t.data is not None
        }
        self._constants.update((n, torch.from_numpy(b)) for n, b in state.biases.items())
        self._feeds = {
            p.tensor: torch.from_numpy(np.array(feeds[p.name], np.float32))
            for p in state.graph.inputs
        }
        self._values: dict[str, Any] = {}
        self._values = self._run(frozenset(self._acts), {}, self._acts, {})

    def value(self, name: str) -> Array:
        """The activation ``name`` over all rows, float32."""
        return np.asarray(self._values[name].numpy())

    def try_(
        self,
        names: Collection[str],
        acts: Mapping[str, QTensor] | None = None,
        constants: Mapping[str, Array] | None = None,
    ) -> dict[str, Array]:
        """The activations ``names`` if ``acts`` and float ``constants`` were replaced."""
        acts, constants = acts or {}, constants or {}
        tensors = {n: self._torch.from_numpy(c) for n, c in constants.items()}
        touched = frozenset((*acts, *tensors))
        values = self._run(touched, tensors, {**self._acts, **acts}, self._values, names)
        return {n: values.get(n, self._values[n]).numpy() for n in names}

    def commit(
        self,
        acts: Mapping[str, QTensor] | None = None,
        constants: Mapping[str, Array] | None = None,
    ) -> None:
        """Replace ``acts`` and ``constants`` for good."""
        acts, constants = acts or {}, constants or {}
        tensors = {n: self._torch.from_numpy(c) for n, c in constants.items()}
        self._acts.update(acts)
        for name, tensor in tensors.items():
            (self._weights if name in self._weights else self._constants)[name] = tensor
        touched = frozenset((*acts, *tensors))
        self._values.update(self._run(touched, {}, self._acts, self._values))

    def _run(
        self,
        touched: frozenset[str],
        constants: Mapping[str, Any],
        acts: Mapping[str, QTensor],
        base: Mapping[str, Any],
        needed: Collection[str] = (),
    ) -> dict[str, Any]:
        """The activations that differ from ``base`` because of ``touched``."""
        values: dict[str, Any] = {}
        with self._torch.no_grad():
            for name, feed in self._feeds.items():
                if name in touched:
                    values[name] = fake_quantize(feed, acts[name])
            for node in self._graph.nodes:
                dirty = node.output in touched or any(
                    n in values or n in touched for n in node.inputs
                )
                if dirty:
                    inputs = [self._read(n, constants, values, base) for n in node.inputs]
                    run = spec(node.op).run_float
                    result = run(rounded_pad(node, acts), inputs)  # type: ignore[misc]
                    values[node.output] = fake_quantize(result, acts[node.output])
        return values

    def _read(
        self,
        name: str,
        constants: Mapping[str, Any],
        values: Mapping[str, Any],
        base: Mapping[str, Any],
    ) -> Any:
        for source in (constants, values, base, self._weights, self._constants):
            if name in source:
                return source[name]
        raise KeyError(name)


def output_names(graph: Graph) -> tuple[str, ...]:
    """The tensors at which the network's error is measured: its logits."""
    return tuple(dict.fromkeys(logits_of(graph, port.tensor) for port in graph.outputs))


def float_outputs(state: State, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The exact logits over ``feeds``."""
    return run_float(state.graph, feeds, output_names(state.graph))


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
