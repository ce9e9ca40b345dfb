"""Bias correction: rounding shifts the mean of each channel; the bias takes it back.

Layers are corrected in order, each with the inputs that the corrected layers before it give.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuq.ir import Array, Node
from mcuq.quantize.guard import fit_rows
from mcuq.quantize.reals import dequantized
from mcuq.quantize.rounding.layers import before_clip, channel_means, own_layers
from mcuq.quantize.simulate import Simulation, rounded_pad
from mcuq.quantize.state import State
from mcuq.reference import run_exact


def correct_biases(state: State) -> State:
    """Every bias moved so that the mean before the clip is that of the exact network."""
    feeds = fit_rows(state)
    layers = own_layers(state.graph)
    exact = run_exact(state.graph, feeds, {node.inputs[0] for node in layers})
    simulation = Simulation(state, feeds)
    found = {}
    for index, node in enumerate(layers):
        state.options.report("bias correction", index / len(layers))
        name = node.inputs[2]
        found[name] = corrected_bias(state, node, exact, simulation)
        simulation.commit(constants={name: found[name]})
    return state.with_biases(found)


def corrected_bias(
    state: State, node: Node, exact: Mapping[str, Array], simulation: Simulation
) -> Array:
    """The bias of ``node`` that gives the exact means for the inputs that arrive; float32."""
    source, w, b = node.inputs
    rounded = rounded_pad(node, state.acts)
    bias = state.graph.data(b)
    wanted = before_clip(node, exact[source], state.graph.data(w), bias)
    weights = dequantized(state.weights[w])
    arrived = before_clip(rounded, simulation.value(source), weights, bias)
    corrected: Array = bias + channel_means(wanted) - channel_means(arrived)
    return corrected.astype(np.float32)
