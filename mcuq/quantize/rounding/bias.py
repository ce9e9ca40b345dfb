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
from mcuq.quantize.rounding.recurrent import own_recurrent, round_recurrent
from mcuq.quantize.simulate import Simulation, rounded_pad
from mcuq.quantize.state import State
from mcuq.reference import run_exact


def correct_biases(state: State) -> State:
    """Every bias moved so that the mean before the clip is that of the exact network."""
    feeds = fit_rows(state)
    layers, cells = own_layers(state.graph), own_recurrent(state.graph)
    ordered = [node for node in state.graph.nodes if node in (*layers, *cells)]
    exact = run_exact(state.graph, feeds, {node.inputs[0] for node in ordered})
    simulation = Simulation(state, feeds)
    found: dict[str, Array] = {}
    for index, node in enumerate(ordered):
        state.options.report("bias correction", index / len(ordered))
        if node in cells:
            _, made = round_recurrent(state, node, exact, simulation, biases_only=True)
        else:
            made = {node.inputs[2]: corrected_bias(state, node, exact, simulation)}
        found.update(made)
        simulation.commit(constants=made)
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
