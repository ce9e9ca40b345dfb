"""How much the network's output changes with each activation: its squared Jacobian.

Small errors of the channels of a tensor, if independent, add the squared error
``sum over channels of weight * error`` to the output, relative to its power. The rows of the
Jacobian are summed without being computed one by one: random signs in front of the outputs give
the sum of their squares in the mean (Hutchinson 1990).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from mcuq.data.rows import evenly, rows_of
from mcuq.ir import Array, Graph
from mcuq.ops import float_of, products, spec
from mcuq.ops.parts.exact import shortened
from mcuq.quantize.simulate import output_names
from mcuq.reference import chunk_rows, float_constants, run_exact

ROWS, FEWEST = 48, 2
"""At most so many rows, evenly spaced; of a large network fewer, but so many at least."""

WORK = 1_000_000_000
"""About so many products of the rows together, once for each output."""

SIGNS = 4
"""So many random signs for each output."""


def sensitivities(graph: Graph, feeds: Mapping[str, Array], seed: int = 0) -> dict[str, Array]:
    """(C,) by activation: the relative squared error of the outputs for each of its values.

    The error of each value of a channel counts alike; their sum over all positions is what 1 stands
    for. Activations that no output depends on are 0.
    """
    import torch

    names = output_names(graph)
    most = min(ROWS, max(FEWEST, WORK // max(1, len(names) * products(graph))))
    rows = evenly(rows_of(feeds), most)
    exact = run_exact(graph, {n: v[rows] for n, v in feeds.items()}, names)
    powers = {n: max(float(np.square(v, dtype=np.float64).sum()), 1e-30) for n, v in exact.items()}
    signs = torch.Generator().manual_seed(seed)
    total: dict[str, Array] = {}
    for part in np.array_split(rows, -(-len(rows) // chunk_rows(graph))):
        trace = _Trace(graph, {n: v[part] for n, v in feeds.items()}, names)
        for name, found in trace.squares(powers, signs).items():
            total[name] = total.get(name, 0.0) + found
    return {name: shortened(found) for name, found in total.items()}


class _Trace:
    """The float network over some rows, with all its activations as leaves of gradients."""

    def __init__(self, graph: Graph, feeds: Mapping[str, Array], outputs: Collection[str]) -> None:
        import torch

        self._torch = torch
        constants = {n: c.double() for n, c in float_constants(graph).items()}
        self._leaves: dict[str, Any] = {}
        values: dict[str, Any] = {}

        def keep(name: str, value: Any) -> None:
            self._leaves[name] = torch.zeros_like(value, requires_grad=True)
            values[name] = value + self._leaves[name]

        for port in graph.inputs:
            keep(port.tensor, torch.from_numpy(np.array(feeds[port.name], np.float64)))
        for node in graph.nodes:
            inputs = [constants[n] if n in constants else values[n] for n in node.inputs]
            found = float_of(node)(node, inputs)
            if spec(node.op).gives_indices:
                values[node.output] = found  # which has no gradient
            else:
                keep(node.output, found)
        self._values = {name: values[name] for name in outputs}

    def squares(self, powers: Mapping[str, float], signs: Any) -> dict[str, Array]:
        """(C,) by activation: squared gradients, summed over rows, positions and outputs."""
        total: dict[str, Array] = {}
        for name, value in self._values.items():
            share = 1.0 / powers[name] / len(self._values) / SIGNS
            for _ in range(SIGNS):
                sign = self._torch.randint(0, 2, value.shape, generator=signs) * 2.0 - 1.0
                found = self._torch.autograd.grad(
                    (value * sign).sum(), [*self._leaves.values()], retain_graph=True,
                    allow_unused=True,
                )  # fmt: skip
                for leaf, gradient in zip(self._leaves, found, strict=True):
                    if gradient is not None:
                        # The slope of a root at 0 is infinite: such values say nothing.
                        finite = gradient.nan_to_num(0.0, 0.0, 0.0)
                        flat = finite.reshape(-1, gradient.shape[-1]).double()
                        squares = np.asarray(flat.square().sum(0).numpy()) * share
                        total[leaf] = total.get(leaf, 0.0) + squares
        return total
