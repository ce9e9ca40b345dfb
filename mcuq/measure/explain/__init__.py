"""Where the integer network loses accuracy: layer by layer, by cause, with the cheapest fix.

Every layer's integers are held against the float network. Then the float network runs once more
per layer and cause, with only that error in it: rounded weights, a rounded output, or a clipped
output. What reaches the network's output is that layer's and that cause's part in the noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mcuq.data.rows import rows_of, thinned
from mcuq.ir import Array
from mcuq.measure.evaluate import sqnr
from mcuq.measure.explain.facts import CAUSES, Explanation, Layer
from mcuq.measure.explain.fixes import with_fixes
from mcuq.measure.explain.injected import Injected
from mcuq.measure.explain.network import inputs, real, state_of
from mcuq.model.bundle import Bundle
from mcuq.progress import Progress, silent
from mcuq.qir import frac_of
from mcuq.quantize.simulate import decibels, relative_error
from mcuq.quantize.structure import activations
from mcuq.reference import run_float, run_int

__all__ = ["CAUSES", "Explanation", "Layer", "explain", "state_of"]

INJECTED_ROWS = 16
"""So many rows are run again and again with one error in them."""


def explain(
    made: Bundle, feeds: Mapping[str, Array] | None = None, progress: Progress = silent
) -> Explanation:
    """Explain a compiled model on ``feeds`` (as ``data.load`` returns them for its graph).

    Without them, on the calibration rows in the bundle; at most 32 rows, evenly spaced.
    """
    graph, qgraph = made.rounded or made.graph, made.qgraph
    integers, reals = inputs(graph, qgraph, made.vectors, feeds)
    state = state_of(graph, qgraph, reals)
    progress("integer network", 0.0)
    found = run_int(qgraph, integers)
    injected = Injected(state, thinned(reals, INJECTED_ROWS))
    exact = run_float(graph, reals)
    layers = []
    names = [name for name in activations(graph) if state.acts[name].kind != "s32"]
    for index, name in enumerate(names):
        progress("error by layer", index / len(names))
        layers.append(_layer(injected, name, exact[name], found[name]))
    outputs = {n: real(found[n], state.acts[n]) for n in injected.outputs}
    progress("fixes", 1.0)
    quantization = made.history.quantization
    result = Explanation(
        rows_of(reals),
        decibels(relative_error({n: exact[n] for n in outputs}, outputs)),
        quantization.steps if quantization else (),
        tuple(layers),
        (),
        tuple(f"layer '{x.name}' gives 0 for every row" for x in layers if x.zero),
    )
    return with_fixes(result, state, quantization)


def _layer(injected: Injected, name: str, exact: Array, integers: Array) -> Layer:
    """The facts of the tensor ``name``, whose reals and integers are given."""
    graph, act = injected.state.graph, injected.state.acts[name]
    node = graph.producer(name)
    found = real(integers, act)
    half_step = 2.0 ** -(frac_of(act) + 1)
    low, high = (real(np.array(bound), act) for bound in act.range)
    clipped = float(np.mean((exact > high + half_step) | (exact < low - half_step)))
    lowest, highest = int(integers.min()), int(integers.max())
    return Layer(
        node.name if node else name,
        node.op if node else "input",
        name,
        frac_of(act),
        sqnr(exact, found),
        _cosine(exact, found),
        clipped,
        (highest - lowest + 1) / (act.range[1] - act.range[0] + 1),
        injected.by_cause(node, name, clipped),
        lowest == highest == act.zero,
    )


def _cosine(a: Array, b: Array) -> float:
    """The cosine of the angle between two arrays: 1 for two of zeros, 0 for one.

    >>> _cosine(np.array([1.0, 0.0]), np.array([2.0, 0.0])), _cosine(np.zeros(2), np.ones(2))
    (1.0, 0.0)
    """
    x, y = a.astype(np.float64).reshape(-1), b.astype(np.float64).reshape(-1)
    lengths = math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))
    if lengths == 0:
        return 1.0 if not (x.any() or y.any()) else 0.0
    return float(x @ y) / lengths
