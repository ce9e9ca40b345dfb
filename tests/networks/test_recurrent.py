"""A network of recurrent layers, both directions and of all kinds, on the host and every core."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from small_networks import Net

from mcuq.ir import Graph
from mcuq.measure import check
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import Compiled, generate
from mcuq.passes import pipeline
from mcuq.quantize import Options, quantize
from mcuq.reference import feeds_to_int
from mcuq.targets import boards
from mcuq.targets.cores import CHECKED

STEPS, INPUTS = 7, 5
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def recurrent(net: Net, op: str, x: str, units: int, **attrs: Any) -> str:
    rows, count = GATES[op] * units, len(net.tensors)
    shapes = [(rows, net.tensors[x].shape[-1]), (rows, units)]
    shapes += [((2 if op == "gru" else 1) * rows,), *((units,),) * (2 if op == "lstm" else 1)]
    names = [
        net.constant(f"{op}_{count}.{i}", net.random.uniform(-0.4, 0.4, shape))
        for i, shape in enumerate(shapes)
    ]
    return net.node(op, x, *names, **{"gives": "all", "reverse": False, **attrs})


def network() -> Graph:
    """Forward and backward lstm, gru of both kinds, rnn, and the last state classified."""
    net = Net((1, 1, STEPS, INPUTS))
    both = [recurrent(net, "lstm", "x", 6, reverse=back) for back in (False, True)]
    joined = net.node("concat", *both, axis=3)
    after = recurrent(net, "gru", joined, 9, after=True)
    before = recurrent(net, "gru", after, 5, after=False, limit=2.0)
    last = recurrent(net, "rnn", before, 8, activation="tanh", gives="last")
    cell = recurrent(net, "lstm", before, 3, gives="cell")
    return pipeline.run(net.graph(net.dense(last, 4), cell, name="recurrent"))


@functools.cache
def compiled(bits: int, prefer: str = "balanced") -> Bundle:
    graph = network()
    rows = np.random.default_rng(1).normal(size=(32, 1, STEPS, INPUTS)).astype(np.float32)
    qgraph = quantize(graph, {"x": rows}, Options("fast", bits={"*": bits}))
    feeds = feeds_to_int(qgraph, {"x": rows})
    return Bundle("recurrent", "", "0" * 64, None, prefer, graph, qgraph, feeds)


def on(board: str | None, bits: int = 8, prefer: str = "balanced") -> Compiled:
    return generate(compiled(bits, prefer), boards.load(board) if board else None)


@pytest.mark.parametrize("bits", [8, 16])
def test_c_is_exact_on_the_host(bits: int) -> None:
    assert all(verdict.exact for verdict in check.check(on(None, bits), [], 16))


@pytest.mark.emulated
@pytest.mark.parametrize("board", CHECKED)
@pytest.mark.parametrize(("bits", "prefer"), [(8, "balanced"), (16, "speed")])
def test_c_is_exact_on_cores(board: str, bits: int, prefer: str) -> None:
    target = boards.load(board)
    verdicts = check.check(on(board, bits, prefer), [target], 4)
    assert all(verdict.exact for verdict in verdicts)


def test_the_curves_are_there_once() -> None:
    made = on(None)
    weights = made.files["recurrent_weights.h"]
    for curve in ("sigmoid", "tanh"):
        assert weights.count(f"recurrent_{curve}[") == 1
    own = sum(step.flash for step in made.program.steps)
    assert made.report.flash_weights == own - 4 * 2 * 2 * 513 - 2 * 513


def test_layers_give_the_last_state_alone_where_nothing_else_is_read() -> None:
    net = Net((1, 1, STEPS, INPUTS))
    for back in (False, True):
        states = recurrent(net, "lstm", "x", 4, reverse=back)
        place = 0 if back else (STEPS - 1) * 4
        net.node("copy", states, shape=(1, 1, 1, 4), places=(place,), sizes=(4,), strides=(1,))
        states = recurrent(net, "gru", "x", 4, reverse=back, after=True)
        place = (STEPS - 1) * 4 if back else 0  # the first state that is made
        net.node("copy", states, shape=(1, 4), places=(place,), sizes=(4,), strides=(1,))
    copies = [node.output for node in net.nodes if node.op == "copy"]
    graph = pipeline.run(net.graph(*copies, name="last"))
    found = [(n.op, n.attrs.get("gives")) for n in graph.nodes]
    lstm, gru = [("lstm", "last"), ("reshape", None)], [("gru", "all"), ("copy", None)]
    assert found == [*lstm, *gru] * 2
