"""Activations of 16 bits, everywhere or by name: as exact in C as those of 8, and far nearer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_networks import NO_CLIP, Net, images, residual_network

from mcuq.config import Config, QuantizeConfig, parse
from mcuq.errors import McuqError
from mcuq.ir import Graph
from mcuq.measure import check
from mcuq.measure.evaluate import evaluate
from mcuq.model.bundle import Bundle
from mcuq.model.compiled import Compiled, generate
from mcuq.ops import requant
from mcuq.qir import QGraph, QTensor
from mcuq.quantize import Options, quantize, quantize_report
from mcuq.reference import feeds_to_int
from mcuq.targets import boards

WIDE = {"*": 16}
CORES = ("mps2_an385_m0", "mps2_an386", "mps3_an547", "riscv32_virt")


def mixed_operators() -> Graph:
    """Wide and narrow operators in turn, a constant operand, a concat, two outputs."""
    net = Net((1, 8, 8, 3), seed=5)
    a = net.conv("x", 6)
    pooled = net.node(
        "max_pool2d", a, kernel=(2, 2), strides=(2, 2), dilations=(1, 1), pads=(0, 0, 0, 0)
    )
    gate = net.node("sigmoid", net.conv(pooled, 6, kernel=1, clip=NO_CLIP))
    gated = net.node("mul", pooled, gate, clip=NO_CLIP)
    moved = net.node("add", gated, net.constant("offsets", np.linspace(-1, 1, 6)), clip=NO_CLIP)
    less = net.node("sub", moved, net.depthwise(pooled, clip=NO_CLIP), clip=NO_CLIP)
    both = net.node("concat", less, net.conv(less, 5), axis=3)
    padded = net.node(
        "pad", both, pads=((0, 0), (1, 0), (0, 1), (0, 0)), value=(0.5,), name="padded"
    )
    scores = net.dense(net.pool(padded), 4)
    return net.graph(net.node("softmax", scores), padded, name="operators")


def network(graph: Graph, bits: dict[str, int]) -> QGraph:
    return quantize(graph, {"x": images(64)}, Options("fast", bits=bits))


def compiled(graph: Graph, bits: dict[str, int]) -> Compiled:
    qgraph = network(graph, bits)
    rows = feeds_to_int(qgraph, {"x": images(32)})
    made = Bundle("wide", "", "0" * 64, None, "balanced", graph, qgraph, rows)
    return generate(made, None)


def some(graph: Graph) -> dict[str, int]:
    """Every third tensor that may be named."""
    names = [n.output for n in graph.nodes if n.op in ("conv2d", "add", "dense")]
    return dict.fromkeys(names[::2], 16)


NETWORKS = {"residual": residual_network, "operators": mixed_operators}


@pytest.mark.parametrize("name", NETWORKS)
def test_sixteen_bits_are_nearer(name: str) -> None:
    graph = NETWORKS[name]()
    test = {"x": images(64, seed=2)}
    narrow, some_wide, wide = (
        evaluate(graph, network(graph, bits), test).sqnr_db for bits in ({}, some(graph), WIDE)
    )
    assert some_wide > narrow - 0.5
    assert wide > narrow + 2


@pytest.mark.parametrize(("op", "attrs"), [("tanh", {}), ("elu", {"alpha": 1.0})])
def test_functions_are_nearer_in_16_bits(op: str, attrs: dict[str, float]) -> None:
    """They have tables of their own: no value goes through 8 bits."""
    net = Net((1, 6), seed=4)
    value = net.node(op, net.dense("x", 32), **attrs)
    graph = net.graph(net.dense(net.node(op, net.dense(value, 16), **attrs), 4))
    rows = [
        np.random.default_rng(seed).normal(0, 1, (200, 6)).astype(np.float32) for seed in (1, 2)
    ]
    made = [quantize(graph, {"x": rows[0]}, Options("fast", bits=bits)) for bits in ({}, WIDE)]
    narrow, wide = (evaluate(graph, qgraph, {"x": rows[1]}).sqnr_db for qgraph in made)
    assert wide > narrow + 3
    assert {node.op for node in made[1].nodes} == {"dense", "lut16"}


def test_all_that_can_be_wide_is() -> None:
    graph = residual_network()
    qgraph = network(graph, WIDE)
    kinds = {n.op: qgraph.tensor(n.output).kind for n in qgraph.nodes}
    assert kinds == {"conv2d": "s16", "depthwise_conv2d": "s16", "add": "s16", "dense": "s16",
                     "avg_pool2d": "s16", "reshape": "s16", "requant": "s8",
                     "softmax": "s16"}  # fmt: skip
    assert qgraph.inputs[0].kind == "s16"
    assert all(t.zero == 0 for t in qgraph.tensors.values() if t.kind == "s16")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("wide", ["everywhere", "some"])
def test_c_is_exact_on_the_host(name: str, wide: str) -> None:
    graph = NETWORKS[name]()
    made = compiled(graph, WIDE if wide == "everywhere" else some(graph))
    assert all(verdict.exact for verdict in check.check(made, [], 12))


@pytest.mark.emulated
@pytest.mark.parametrize("core", CORES)
def test_c_is_exact_on_cores(core: str) -> None:
    for make in NETWORKS.values():
        graph = make()
        for bits in (WIDE, some(graph)):
            verdicts = check.check(compiled(graph, bits), [boards.load(core)], 8)
            assert all(verdict.exact for verdict in verdicts), graph.name


def test_ports_are_declared_with_16_bits() -> None:
    files = compiled(residual_network(), WIDE).files
    assert "const int16_t in_x[WIDE_IN_X_LEN]" in files["wide.h"]
    assert "const float high = 32767.0f;" in files["wide_float.h"]


@pytest.mark.parametrize("step", range(-24, 25, 3))
def test_requant_is_rounded_once(step: int) -> None:
    """Every s16 value, to any scale: the real value rounded half up and saturated."""
    x, y = QTensor("x", (1, 65536), "s16", 0), QTensor("y", (1, 65536), "s16", step)
    node = requant.form("n", x, y).node
    values = np.arange(-32768, 32768, dtype=np.int16)[None]
    graph = QGraph("", (), (), (node,), {"x": x, "y": y})
    exact = np.clip(np.floor(values * 2.0**step + 0.5), -32768, 32767)
    assert np.array_equal(requant.run_int(node, graph, [values]), exact)


def test_bits_of_a_configuration() -> None:
    for bits, wanted in (
        (16, QuantizeConfig(bits={"*": 16})),
        ("mixed", QuantizeConfig(mixed=True)),
        ({"a": 16}, QuantizeConfig(bits={"a": 16})),
    ):
        assert parse({"quantize": {"bits": bits}}, "f").quantize == wanted
        assert Config(quantize={"bits": bits}).quantize == wanted
    with pytest.raises(McuqError, match="bits is not 8 or 16"):
        parse({"quantize": {"bits": 12}}, "f")
    with pytest.raises(McuqError, match=r"config: unknown key quantize\.bit"):
        Config(quantize={"bit": 16})


def test_what_is_given_beside_a_configuration_takes_its_place() -> None:
    mixed = Config(quantize={"bits": "mixed", "effort": "best"})
    assert mixed.with_quantize("f", {"bits": 16, "effort": None}) == Config(
        quantize={"bits": 16, "effort": "best"}
    )
    fracs = Config(quantize={"fracs": {"a": 3}, "bits": 16})
    assert fracs.with_quantize("f", {"bits": "mixed"}).quantize == QuantizeConfig(
        fracs={"a": 3}, mixed=True
    )
    assert fracs.with_quantize("f", {}) == fracs


@pytest.mark.parametrize(("bits", "message"), [
    ({"none": 16}, "no activation 'none'"),
    ({"classes": 16}, "'classes' cannot have 16 bits"),
    ({"total": 4}, "4 is not 8 or 16"),
])  # fmt: skip
def test_bits_that_cannot_be_are_refused(bits: dict[str, int], message: str) -> None:
    with pytest.raises(McuqError, match=message):
        network(residual_network(), bits)


def test_mixed_widens_what_helps_within_its_budget() -> None:
    graph = residual_network()
    test = {"x": images(64, seed=2)}
    result = quantize_report(graph, {"x": images(64)}, Options("fast", mixed=True))
    kinds = {n: t.kind for n, t in result.qgraph.tensors.items()}
    assert result.mixed is not None
    assert result.mixed.tensors
    assert {kinds[n] for n in result.mixed.tensors} == {"s16"}
    assert kinds["x"] == "s8"
    narrow = evaluate(graph, network(graph, {}), test).sqnr_db
    assert evaluate(graph, result.qgraph, test).sqnr_db > narrow + 1
    free = Options("fast", mixed=True, price=lambda g: [sum(t.bytes for t in g.tensors.values())])
    poor = quantize_report(graph, {"x": images(64)}, free).mixed
    assert poor is not None
    assert poor.price is not None
    assert poor.price <= poor.budget
    none = Options("fast", mixed=True, price=lambda g: [1.0 if narrow_only(g) else 9.0])
    nothing = quantize_report(graph, {"x": images(64)}, none).mixed
    assert nothing is not None
    assert nothing.tensors == ()


def narrow_only(graph: QGraph) -> bool:
    return all(t.kind != "s16" for t in graph.tensors.values() if t.data is None)


def test_the_same_bits_in_the_written_folder(tmp_path: Path) -> None:
    from mcuq.model.compiled import load_compiled

    made = compiled(residual_network(), WIDE)
    made.write(tmp_path / "out")
    assert load_compiled(tmp_path / "out").program.qgraph.inputs[0].kind == "s16"
