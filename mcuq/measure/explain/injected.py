"""The exact network, run with one error in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mcuq.ir import Array, Node
from mcuq.measure.explain.facts import CAUSES
from mcuq.measure.explain.network import is_corrected
from mcuq.ops import float_of, spec
from mcuq.ops.clip import clamp
from mcuq.qir import frac_of
from mcuq.quantize.simulate import constants_of, output_names, relative_error, rounded_pad
from mcuq.quantize.state import State
from mcuq.quantize.structure import weighted
from mcuq.reference import run_float


class Injected:
    """The exact network over fixed rows, and its output if one tensor were another."""

    def __init__(self, state: State, feeds: Mapping[str, Array]) -> None:
        import torch

        self.state = state
        self._torch = torch
        graph = state.graph
        tensors = graph.tensors.values()
        exact = {t.name: np.array(t.data, np.float32) for t in tensors if t.data is not None}
        exact.update(run_float(graph, feeds))
        self._exact = {name: torch.from_numpy(values) for name, values in exact.items()}
        self._rounded = {n: torch.from_numpy(v) for n, v in constants_of(state).items()}
        self.outputs = {name: exact[name] for name in output_names(graph)}

    def noise(self, name: str, values: Any) -> float:
        """Noise over signal at the output if ``name`` had ``values`` (torch)."""
        changed = {name: values}
        with self._torch.no_grad():
            for node in self.state.graph.nodes:
                if node.output != name and changed.keys() & set(node.inputs):
                    changed[node.output] = self._run(node, {**self._exact, **changed})
        found = {n: changed.get(n, self._exact[n]).numpy() for n in self.outputs}
        return relative_error(self.outputs, found)

    def by_cause(self, node: Node | None, name: str, clipped: float) -> dict[str, float]:
        """The noise of each cause at the tensor ``name``, which ``node`` writes."""
        act, exact = self.state.acts[name], self._exact[name]
        noise = dict.fromkeys(CAUSES, 0.0)
        if node is not None and node in weighted(self.state.graph):
            noise["weights"] = self.noise(name, self._with_rounded_weights(node))
        if node is None or not spec(node.op).keeps_scale:
            scale = 2.0 ** frac_of(act)
            low, high = (bound - act.zero for bound in act.range)
            noise["rounding"] = self.noise(name, exact.mul(scale).add(0.5).floor() / scale)
            if clipped > 0:
                noise["clipping"] = self.noise(name, exact.clamp(low / scale, high / scale))
        return noise

    def _with_rounded_weights(self, node: Node) -> Any:
        """The output of a layer with its integer weights, on exact inputs.

        A corrected bias makes up for errors of the layers before, too; they are absent here, so
        only the layer's own shift of the mean is taken back.
        """
        _, w, b = node.inputs
        rounded = rounded_pad(node, self.state.acts)
        with self._torch.no_grad():
            if not is_corrected(self.state, node):
                values = {**self._exact, w: self._rounded[w], b: self._rounded[b]}
                return self._run(rounded, values)
            bare = rounded.with_attrs(clip=(-math.inf, math.inf))
            wanted = self._run(node.with_attrs(clip=bare.attrs["clip"]), self._exact)
            found = self._run(bare, {**self._exact, w: self._rounded[w]})
            axes = tuple(range(found.dim() - 1))
            return clamp(found + (wanted - found).mean(axes), node.attrs["clip"])

    def _run(self, node: Node, values: Mapping[str, Any]) -> Any:
        return float_of(node)(node, [values[name] for name in node.inputs])
