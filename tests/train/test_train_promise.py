"""The promise: in eval mode a prepared module gives what the C computes, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import nn
from torch_networks import (
    NETWORKS,
    Attention,
    Image,
    Sequence,
    Signal,
    made,
    rows_for,
    train_steps,
)

import mcuq
from mcuq import train

BOARD = "mps2_an386"
SETTINGS: dict[type[nn.Module], dict[str, Any]] = {
    Image: {"prune": train.Prune("block:0.5", "cubic", 0, 4, 2), "cluster": "cluster:4bit"},
    Signal: {"quantize": train.Quantize(ranges="learned"), "cluster": {"*linear*": "int4"}},
    Sequence: {"quantize": train.Quantize(signed=True)},
    Attention: {"prune": "2:4", "freeze": 3},
}


WIDE = {"quantize": train.Quantize(bits=16), "cluster": "int4"}
CASES = [*SETTINGS.items(), (Image, WIDE)]


def test_every_network_has_its_case() -> None:
    assert {network for network, _ in CASES} == set(NETWORKS)


@pytest.mark.parametrize(("network", "asked"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_outputs_are_those_of_the_c(network: type[nn.Module], asked: dict[str, Any]) -> None:
    x = rows_for(network)
    prepared = train.prepare(made(network), x, **asked)
    train_steps(prepared, x, 6)
    prepared.eval()
    found = prepared(x)
    model = mcuq.compile(train.finish(prepared), name="net", board=BOARD)
    assert all(verdict.exact for verdict in model.check([]))
    on_core = model.run(BOARD, x.numpy())
    if asked is WIDE:
        kinds = [t.kind for t in prepared.integer_graph().tensors.values()]
        assert kinds.count("s16") >= 5
    outputs = found if isinstance(found, tuple) else (found,)
    assert len(outputs) == len(on_core)
    for real, wanted in zip(on_core.values(), outputs, strict=True):
        assert len(np.unique(wanted.numpy())) > 3
        np.testing.assert_array_equal(real.astype(np.float32), wanted.numpy())
