"""Zeros, shared values and fixed tables: what they are, and that every later step keeps them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_networks import images, residual_network

from mcuq.compress.cluster import clustered, k_means
from mcuq.compress.constraint import Constraint
from mcuq.compress.layer import table_of
from mcuq.compress.levels import linear, logarithmic
from mcuq.compress.pipeline import compress_graph
from mcuq.compress.request import CLUSTER4_OR_EVEN, Request, Tuning, parse
from mcuq.compress.sparsity import Pattern, mask_of, masks_of
from mcuq.compress.tables import Rows, constraint_of, error_of, weights_of
from mcuq.errors import DataError
from mcuq.ir import Array
from mcuq.ops import layout_of
from mcuq.ops.parts.coded import exponents_of, has_few_values, joined
from mcuq.quantize import Options, quantize_report
from mcuq.quantize.structure import weighted

RANDOM = np.random.default_rng(0)
EVERYWHERE = "*"


def rows_of(weights: Array, mask: Array | None = None) -> Rows:
    return Rows.of(weights, 0, np.ones(weights.shape), mask)


@pytest.mark.parametrize("amount", [0.0, 0.25, 0.5, 0.8, 1.0])
def test_single_weights(amount: float) -> None:
    scores = RANDOM.random((10, 12))
    mask = mask_of(scores, Pattern("sparse", amount))
    assert (~mask).sum() == round(amount * 120)
    assert amount in (0.0, 1.0) or scores[~mask].max() < scores[mask].min()


@pytest.mark.parametrize(("depth", "amount"), [(16, 0.5), (16, 1.0), (6, 0.5), (3, 0.4)])
def test_blocks_run_along_the_inputs_of_each_row(depth: int, amount: float) -> None:
    mask = mask_of(RANDOM.random((8, depth)), Pattern("block", amount))
    for row in mask:
        blocks = [row[first : first + 4] for first in range(0, depth, 4)]
        assert all(len(set(block.tolist())) == 1 for block in blocks)
    assert abs((~mask).mean() - amount) <= 4 / mask.size


@pytest.mark.parametrize(("n", "m", "depth"), [(2, 4, 8), (1, 4, 9), (4, 4, 8), (1, 2, 5)])
def test_n_of_m(n: int, m: int, depth: int) -> None:
    mask = mask_of(RANDOM.random((5, 3, depth)), Pattern("n:m", 1 - n / m, n, m))
    for first in range(0, depth, m):
        group = mask[..., first : first + m]
        assert (group.sum(axis=-1) == min(n, group.shape[-1])).all()


def test_a_shared_amount_empties_no_layer() -> None:
    """Even if all weights of one matter less than all of the other."""
    scores = {"a": 1e-6 * RANDOM.random((20, 20)), "b": RANDOM.random((20, 20))}
    masks = masks_of(scores, Pattern("sparse", 0.9))
    assert sum((~mask).sum() for mask in masks.values()) == 720
    assert all(mask.any() for mask in masks.values())


def test_k_means_finds_separate_clusters() -> None:
    centers = np.array([-1.0, -0.2, 0.3, 0.9])
    values = (centers + 0.001 * RANDOM.normal(size=(50, 4))).reshape(-1)
    found = k_means(values, np.ones(200), 4, False, 0, [])
    assert np.allclose(found, centers, atol=0.001)


def test_zero_stays_a_cluster_of_its_own() -> None:
    weights = RANDOM.normal(0.5, 0.1, (8, 32))
    mask = RANDOM.random(weights.shape) < 0.5
    table = clustered(rows_of(weights * mask, mask), 4)
    made = weights_of(table, rows_of(weights, mask), weights.shape, 0)
    assert np.array_equal(made == 0, ~mask)
    assert 0.0 in table.levels
    assert len(table.levels) <= 4


@pytest.mark.parametrize("weights", [np.zeros((4, 16)), np.full((4, 16), 0.3), np.eye(4, 16)])
def test_few_values_are_kept_exactly(weights: Array) -> None:
    made = weights_of(clustered(rows_of(weights), 4), rows_of(weights), weights.shape, 0)
    assert np.array_equal(made, weights.astype(np.float32))


def test_a_layer_that_is_all_zero_by_its_mask() -> None:
    mask = np.zeros((4, 16), bool)
    for fit in (lambda rows: clustered(rows, 16), linear, logarithmic):
        rows = rows_of(np.ones((4, 16)), mask)
        assert not weights_of(fit(rows), rows, (4, 16), 0).any()


def test_channels_share_the_table_up_to_powers_of_two() -> None:
    base = RANDOM.normal(size=(1, 64))
    weights = base * 2.0 ** np.arange(-3, 3)[:, None]
    table = clustered(rows_of(weights), 16)
    assert np.diff(table.exponents).tolist() == [1] * 5
    made = weights_of(table, rows_of(weights), weights.shape, 0)
    assert all(np.array_equal(row / made[0], row[:1] / made[0, :1] * np.ones(64)) for row in made)


def test_log_weights_are_powers_of_two() -> None:
    weights = RANDOM.normal(size=(6, 50))
    rows = rows_of(weights)
    made = weights_of(logarithmic(rows), rows, weights.shape, 0)
    mantissas, _ = np.frexp(made[made != 0])
    assert set(np.abs(mantissas).tolist()) == {0.5}
    exponents = exponents_of(made, 0)
    assert exponents is not None
    integers = made * 2.0 ** -np.array(exponents, float)[:, None]
    assert len(np.unique(integers)) <= 15


def test_int4_weights_are_even_steps() -> None:
    weights = RANDOM.normal(size=(6, 50))
    rows = rows_of(weights)
    table = linear(rows)
    steps = table.levels / np.diff(table.levels)[0]
    assert np.allclose(steps, np.arange(-8, 8))
    error = weights_of(table, rows, weights.shape, 0) - weights
    assert np.abs(error).max() < 0.5


def test_int4_steps_are_whole_in_8_bits() -> None:
    for width in np.linspace(0.5, 1.0, 9):
        steps = 64 * np.diff(linear(rows_of(width * RANDOM.uniform(-1, 1, (6, 50)))).levels)
        assert np.array_equal(steps, np.round(steps))


@pytest.mark.parametrize(("law", "even"), [("steps", True), ("laplace", False)])
def test_an_even_scale_stands_in_for_clusters_where_it_errs_little_more(
    law: str, even: bool
) -> None:
    weights = RANDOM.laplace(size=(8, 64))
    if law == "steps":
        weights = (RANDOM.integers(-8, 8, (8, 64)) + RANDOM.uniform(-0.2, 0.2, (8, 64))) / 8.5
    rows = rows_of(weights)
    table = table_of(rows, CLUSTER4_OR_EVEN, 0)
    assert table.fixed == even
    assert error_of(rows, table) <= 1.25 * error_of(rows, table_of(rows, "cluster4", 0))


@pytest.mark.parametrize("learned", [True, False])
def test_constraints_keep_tables(learned: bool) -> None:
    """What tuning makes of the free numbers is what ``project`` leaves alone."""
    weights = RANDOM.normal(size=(6, 32)) * 2.0 ** np.arange(6)[:, None]
    mask = RANDOM.random(weights.shape) < 0.7
    rows = rows_of(weights, mask)
    table = clustered(rows, 16) if learned else linear(rows)
    constraint = constraint_of(table, rows, weights.shape, 0)
    made = weights_of(table, rows, weights.shape, 0)
    assert np.allclose(constraint.project(made), made, rtol=1e-6)
    free = constraint.free(made) * 1.25
    follows = constraint.parametrise()(torch.from_numpy(free)).numpy()
    tuned = constraint.project(follows)
    assert np.allclose(tuned, follows, rtol=1e-5)
    assert exponents_of(tuned, 0) is not None
    assert not tuned[~mask].any()


def test_scaled_codes_are_least_squares() -> None:
    scale = np.array([[1.0, 1.0], [2.0, 2.0]])
    halves = Constraint("codes", codes=np.zeros((2, 2), int), scale=scale)
    assert halves.project(np.array([[1.0, 1.0], [4.0, 4.0]])).tolist() == [
        [np.float32(1.8)] * 2,
        [np.float32(3.6)] * 2,
    ]


@pytest.mark.parametrize(
    ("weights", "coded"),
    [
        (np.arange(128.0).reshape(8, 16) % 16, True),
        (np.arange(136.0).reshape(8, 17) % 17, False),
        (np.arange(32.0).reshape(8, 4) % 3, False),  # too few weights to pay
        (np.zeros((8, 16)), True),
        (RANDOM.normal(size=(8, 16)), False),
        (2.0 ** RANDOM.integers(-3, 4, (8, 16)) * 2.0 ** np.arange(8)[:, None], True),
    ],
)
def test_what_is_coded(weights: Array, coded: bool) -> None:
    assert (exponents_of(weights, 0) is not None) == coded
    found = joined(weights.T, 1)
    assert (found is not None) == coded
    assert found is None or len(np.unique(found[0])) <= 16


def _everywhere(text: str) -> Request:
    """``text`` for all layers, those that the default leaves alone too."""
    return Request(layers=((EVERYWHERE, parse(text)),))


@pytest.mark.parametrize("effort", ["fast", "normal"])
@pytest.mark.parametrize(
    "text", ["sparse:0.6", "sparse:0.5,cluster:4bit", "cluster:2bit", "log", "block:0.5,int4"]
)
def test_the_quantizer_keeps_what_was_made(text: str, effort: str) -> None:
    graph, data = residual_network(), {"x": images(60)}
    small = compress_graph(graph, _everywhere(text), data).graph
    done = quantize_report(small, data, Options(effort=effort))
    integers = {
        n.name: done.qgraph.data(n.inputs[1]) for n in done.qgraph.nodes if len(n.inputs) > 2
    }
    for node in weighted(small):
        weights, found = small.data(node.inputs[1]), integers[node.name]
        assert not found[weights == 0].any()
        if weights.size < 64 or "sparse:0.6" in text:
            continue
        assert exponents_of(weights, layout_of(node).outputs) is not None
        assert len(np.unique(found)) <= (4 if "2bit" in text else 16)


def test_equalization_is_free_where_nothing_is_coded() -> None:
    """The rule for shared tables costs other networks nothing."""
    graph, data = residual_network(), {"x": images(60)}
    done = quantize_report(graph, data, Options(effort="fast"))
    assert not any(has_few_values(graph.data(n.inputs[1])) for n in weighted(graph))
    assert any(note.step == "equalization" and note.kept for note in done.notes)


def test_prune_then_cluster_then_tune_keeps_both() -> None:
    graph, data = residual_network(), {"x": images(40)}
    request = replace(
        _everywhere("sparse:0.5,cluster:4bit"), tuning=Tuning(epochs=4, schedule="cubic", steps=2)
    )
    done = compress_graph(graph, request, data)
    again = compress_graph(graph, request, data)
    for node, note in zip(weighted(done.graph), done.notes, strict=True):
        weights = done.graph.data(node.inputs[1])
        assert note.nonzero <= note.before - round(0.5 * note.before)
        assert weights.size < 64 or exponents_of(weights, layout_of(node).outputs) is not None
        assert np.array_equal(weights, again.graph.data(node.inputs[1]))


def test_without_data_weights_are_pruned_by_magnitude() -> None:
    graph = residual_network()
    done = compress_graph(graph, _everywhere("sparse:0.5"))
    for node in weighted(graph):
        old, new = graph.data(node.inputs[1]), done.graph.data(node.inputs[1])
        assert np.array_equal(new[new != 0], old[new != 0])
    assert done.sqnr_db is None


def test_delicate_layers_are_left_alone_unless_named() -> None:
    graph = residual_network()
    left = compress_graph(graph, Request(parse("sparse:0.5"))).notes
    named = compress_graph(graph, _everywhere("sparse:0.5")).notes
    ops = {n.name: n.op for n in weighted(graph)}
    assert {n.methods for n in left if ops[n.layer] == "depthwise_conv2d"} == {"none"}
    assert {n.methods for n in named} == {"sparse:0.5"}


def test_recovery_without_data_is_refused() -> None:
    request = Request(parse("log"), tuning=Tuning(epochs=1))
    with pytest.raises(DataError, match="recovery needs typical inputs to learn from, none are"):
        compress_graph(residual_network(), request)


def test_labels_must_belong_to_the_rows() -> None:
    with pytest.raises(DataError, match="labels: 3 labels for 10 rows"):
        compress_graph(residual_network(), Request(parse("log")), {"x": images(10)}, np.zeros(3))


def test_zero_and_hundred_percent() -> None:
    graph, data = residual_network(), {"x": images(30)}
    same = compress_graph(graph, _everywhere("sparse:0,structured:0"), data)
    assert same.sqnr_db is not None
    assert same.sqnr_db > 60
    empty = compress_graph(graph, _everywhere("sparse:1"), data)
    assert not any(note.nonzero for note in empty.notes)
    quantize_report(empty.graph, data, Options(effort="fast"))
