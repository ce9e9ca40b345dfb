"""Bias correction: rounding shifts the mean of each channel; the bias takes it back.

Layers are corrected in order, each with the inputs that the corrected layers before it give.
"""

from __future__ import annotations

import numpy as np

from mcuq.quantize.guard import fit_rows
from mcuq.quantize.layers import before_clip, channel_means, own_layers
from mcuq.quantize.simulate import Simulation, dequantized, rounded_pad
from mcuq.quantize.state import State
from mcuq.reference import run_float


def correct_biases(state: State) -> State:
    """Every bias moved so that the mean before the clip is that of the exact network."""
    feeds = fit_rows(state)
    layers = own_layers(state.graph)
    exact = run_float(state.graph, feeds, {node.inputs[0] for node in layers})
    simulation = Simulation(state, feeds)
    found = {}
    for index, node in enumerate(layers):
        state.options.report("bias correction", index / len(layers))
        source, w, b = node.inputs
        rounded = rounded_pad(node, state.acts)
        weights = dequantized(state.weights[w])
        bias = state.graph.data(b)
        wanted = before_clip(node, exact[source], state.graph.data(w), bias)
        arrived = before_clip(rounded, simulation.value(source), weights, bias)
        gap = channel_means(wanted) - channel_means(arrived)
        found[b] = (bias + gap).astype(np.float32)
        simulation.commit(constants={b: found[b]})
    return state.with_biases(found)
