"""Networks with attention, from a PyTorch module to C: the import is right, the C exact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx_models import ops, run_graph
from torch import nn
from torch.nn import functional

import mcuq
from mcuq import importers
from mcuq.config import Config
from mcuq.fixed import dequantize
from mcuq.measure.explain import state_of
from mcuq.measure.explain.network import inputs
from mcuq.passes import pipeline
from mcuq.quantize.simulate import Simulation
from mcuq.reference import run_exact, run_int

Tensor = torch.Tensor
TOKENS = (1, 12, 16)


class Heads(nn.Module):
    """Two heads from one layer; with a mask, no token sees those behind it."""

    def __init__(self, causal: bool, written_out: bool = False) -> None:
        super().__init__()
        self.layer, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.causal, self.written_out = causal, written_out

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        parts = self.layer(x).reshape(batch, length, 3, 2, 8).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        if self.written_out:
            future = torch.ones(length, length, dtype=torch.bool).triu(1)
            scores = query @ key.transpose(-2, -1) / 8**0.5
            shares = scores.masked_fill(future, -torch.inf).softmax(-1)
            made = shares @ value
        else:
            made = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.out(made.transpose(1, 2).reshape(batch, length, 16))


class Itself(nn.Module):
    """nn.MultiheadAttention of a value with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.inner(x, x, x, need_weights=False)[0]
        return made


class Vision(nn.Module):
    """Patches, a class token, positions, two layers, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16) * 0.5)
        self.positions = nn.Parameter(torch.randn(1, 10, 16) * 0.3)
        self.layers = nn.Sequential(encoder(True), encoder(True), nn.LayerNorm(16))
        self.head = nn.Linear(16, 5)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        made: Tensor = self.head(self.layers(x)[:, 0])
        return made


def encoder(first: bool) -> nn.Module:
    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu", batch_first=True, norm_first=first)
    return nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "fused": (lambda: Heads(False), TOKENS, 2),
    "causal": (lambda: Heads(True), TOKENS, 2),
    "causal, written out": (lambda: Heads(True, True), TOKENS, 2),
    "multihead": (Itself, TOKENS, 2),
    "encoder": (lambda: encoder(False), TOKENS, 2),
    "vision": (Vision, (1, 3, 12, 12), 4),
}


def made(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    make, shape, _ = MODULES[name]
    return make().eval(), torch.randn(shape)


EXPORTED = [*((name, False) for name in MODULES), ("causal", True), ("vision", True)]


@pytest.mark.parametrize(("name", "dynamo"), EXPORTED)
@pytest.mark.filterwarnings("ignore")
def test_the_import_is_right_and_moves_nothing(name: str, dynamo: bool, tmp_path: Path) -> None:
    module, example = made(name)
    path = tmp_path / "net.onnx"
    wanted = module(example).detach().numpy()
    torch.onnx.export(
        module, (example,), str(path), dynamo=dynamo, external_data=False,
        opset_version=18 if dynamo else 17, verbose=False,
    )  # fmt: skip
    graph = pipeline.run(importers.load(path))
    found = run_graph(graph, {graph.inputs[0].name: example.numpy()})
    np.testing.assert_allclose(found[graph.outputs[0].name], wanted, rtol=1e-4, atol=1e-5)
    assert ops(graph).count("matmul") == MODULES[name][2]
    assert {"transpose", "mul", "sub", "batch_norm"}.isdisjoint(ops(graph))


@pytest.mark.parametrize("name", ["causal, written out", "vision"])
@pytest.mark.filterwarnings("ignore")
def test_the_c_is_exact_and_near_the_float_network(name: str) -> None:
    module, example = made(name)
    rows = np.random.default_rng(1).normal(0, 1, (24, *example.shape[1:])).astype(np.float32)
    config = Config(quantize={"effort": "fast"})
    model = mcuq.compile(module, example, rows, name="net", config=config)
    assert model.check([], 3)[0].mismatches == 0
    assert model.evaluate(rows).sqnr_db > 24


def test_16_bits_are_16_bits_in_attention_too() -> None:
    """Normalization, products and shares as well: exact, and no copy of 8 bits in between."""
    torch.manual_seed(5)
    rows = torch.randn(40, 3, 12, 12)
    made = mcuq.compile(Vision().eval(), rows[:1], rows.numpy(), bits=16, effort="fast")
    qgraph = made.compiled.bundle.qgraph
    assert "requant" not in {node.op for node in qgraph.nodes}
    assert made.evaluate(rows.numpy()).sqnr_db > 45
    assert all(verdict.exact for verdict in made.check(["mps2_an386"], vectors=3))


@pytest.mark.parametrize("bits", [8, 16, "mixed"])
def test_the_network_that_was_judged_is_the_one_that_runs(bits: int | str) -> None:
    """Constants and narrow copies err in integers no more than the quantizer thought."""
    torch.manual_seed(5)
    rows = torch.randn(40, 3, 12, 12)
    made = mcuq.compile(Vision().eval(), rows[:1], rows.numpy(), bits=bits, effort="fast")
    bundle = made.compiled.bundle
    graph, qgraph = bundle.rounded or bundle.graph, bundle.qgraph
    steps, feeds = inputs(graph, qgraph, bundle.vectors, None)
    exact = run_exact(graph, feeds, [node.output for node in graph.nodes])
    integers = run_int(qgraph, steps)
    simulation = Simulation(state_of(graph, qgraph, feeds), feeds)
    for node in graph.nodes:
        tensor = qgraph.tensors[node.output]
        assert isinstance(tensor.frac, int)
        found = dequantize(integers[node.output], tensor.frac, tensor.zero)
        judged, reals = simulation.value(node.output), exact[node.output]
        noise = [float(np.mean((values - reals) ** 2)) for values in (found, judged)]
        assert noise[0] <= 1.3 * noise[1], (node.name, noise)
