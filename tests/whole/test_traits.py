"""What an operator says of itself (``ops/spec.py``) is what its float twin does, for every case of
``op_cases``. Integers go in, so that moved values, and factors of powers of two, are exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from op_cases import CASES, Case, float_graph, integer_form
from small_networks import Net

from mcuq.ir import Array, Node
from mcuq.ops import OPS, clip, float_of, spec
from mcuq.ops.spec import NO_CLIP, OpSpec, Padding, Scaling, Values, fused_clip
from mcuq.quantize.rounding.layers import before_clip, columns, from_rows, to_rows
from mcuq.quantize.structure import never_negative

ROWS = 4
ROUNDING = {"rtol": 1e-5, "atol": 1e-3}  # of float32 sums of a few hundred integers
TWINS = [c for c in CASES if spec(c.op).run_float is not None and c.kind == "s8"]


def having(trait: Callable[[OpSpec], bool]) -> pytest.MarkDecorator:
    cases = [case for case in TWINS if trait(spec(case.op))]
    assert cases
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def node_of(case: Case) -> Node:
    return Node(case.op, case.name, case.names, (case.name,), case.attrs)


def integers(case: Case) -> list[Array]:
    """Activations of integers in -8..8, and the constants; the last axis has different signs."""
    chance = np.random.default_rng(len(case.name))
    return [
        v if isinstance(v, np.ndarray) else chance.integers(-8, 9, (ROWS, *v.shape[1:]))
        for v in case.operands
    ]


def run(node: Node, inputs: list[Array]) -> Array:
    import torch

    given = [torch.from_numpy(np.array(values, np.float32)) for values in inputs]
    return np.asarray(float_of(node)(node, given).numpy())


def is_act(case: Case) -> list[bool]:
    return [not isinstance(v, np.ndarray) for v in case.operands]


@having(lambda op: op.output is None)
def test_no_value_lies_outside_the_bounds(case: Case) -> None:
    """What is no number lies outside the domain of a function."""
    low, high = spec(case.op).bounds(node_of(case))
    found = run(node_of(case), [100.0 * v for v in integers(case)])
    found = found[~np.isnan(found)]
    assert low <= found.min() <= found.max() <= high


@having(lambda op: op.values >= Values.BETWEEN or op.keeps_sign is not OPS[0].keeps_sign)
def test_no_negative_value_is_made_of_none(case: Case) -> None:
    op, node = spec(case.op), node_of(case)
    if op.values >= Values.BETWEEN or op.keeps_sign(node):
        positive = [np.abs(v) for v in integers(case)]
        found = run(node, positive)
        assert op.bounds(node)[1] < 0 or found[~np.isnan(found)].min() >= 0


@having(lambda op: op.values >= Values.BETWEEN)
def test_values_lie_between_those_of_the_inputs(case: Case) -> None:
    inputs = integers(case)
    padded = spec(case.op).padding is Padding.ZERO and any(case.attrs["pads"])
    low, high = min(v.min() for v in inputs), max(v.max() for v in inputs)
    found = run(node_of(case).with_attrs(clip=NO_CLIP), inputs)
    assert min(low, 0 if padded else low) <= found.min()
    assert found.max() <= max(high, 0 if padded else high)


@having(lambda op: op.values >= Values.PICKED)
def test_clipping_may_come_before_what_only_picks(case: Case) -> None:
    (x,) = integers(case)
    after = np.clip(run(node_of(case), [x]), -3, 5)
    assert np.array_equal(run(node_of(case), [np.clip(x, -3, 5)]), after)


@having(lambda op: op.values >= Values.SAME)
def test_the_same_values_are_in_another_order(case: Case) -> None:
    (x,) = integers(case)
    found = run(node_of(case), [x])
    assert np.array_equal(np.sort(found.reshape(ROWS, -1)), np.sort(x.reshape(ROWS, -1)))
    if spec(case.op).values is Values.VIEW:
        assert np.array_equal(found.reshape(-1), x.reshape(-1))


@having(lambda op: op.moved is not None)
def test_integers_are_moved_as_reals_are(case: Case) -> None:
    moved, node, inputs = spec(case.op).moved, node_of(case), integers(case)
    assert moved is not None
    found, expected = moved(node, inputs, 99), run(node, inputs)
    assert np.array_equal(found[found != 99], expected[found != 99])
    assert case.op == "pad" or not (found == 99).any()


@having(lambda op: op.fuse_clip is not None)
def test_a_clip_fuses(case: Case) -> None:
    node, fuse = node_of(case), spec(case.op).fuse_clip
    assert fuse is not None
    for limits in ((-1.5, 2.0), (0.0, math.inf), (-math.inf, -0.5)):
        expected = np.clip(run(node, integers(case)), *limits)
        assert np.array_equal(run(fuse(node, limits), integers(case)), expected)


@having(lambda op: True)
def test_an_identity_changes_nothing(case: Case) -> None:
    graph, inputs = float_graph(case), integers(case)
    if case.op != "batch_norm" and spec(case.op).is_identity(graph.nodes[0], graph):
        found = run(node_of(case), inputs)
        assert found.shape != inputs[0].shape or np.array_equal(found, inputs[0])


@having(lambda op: op.affine is not None)
def test_a_constant_operand_is_a_scale_and_a_shift(case: Case) -> None:
    affine, inputs, acts = spec(case.op).affine, integers(case), is_act(case)
    node = node_of(case).with_attrs(clip=NO_CLIP)
    assert affine is not None
    if sum(acts) == 1 and inputs[acts.index(False)].size in (1, inputs[acts.index(True)].shape[-1]):
        scale, shift = affine(acts.index(False), inputs[acts.index(False)].reshape(-1))
        expected = inputs[acts.index(True)] * scale + shift
        assert np.allclose(run(node, inputs), expected, **ROUNDING)


@having(lambda op: op.scaling in (Scaling.CHANNELS, Scaling.TENSOR))
def test_factors_pass_on(case: Case) -> None:
    """One for each channel where there are as many everywhere; powers of two lose no bit."""
    op, node, inputs = spec(case.op), node_of(case), integers(case)
    expected = run(node, inputs)
    channels = {v.shape[-1] for v in (*inputs, expected)}
    apart = op.scaling is Scaling.CHANNELS and len(channels) == 1 and op.bounds(node) == NO_CLIP
    factor = 2.0 ** (1 + np.arange(channels.pop() if apart else 1) % 5)
    changed = op.rescaled(node, factor)
    if "clip" in case.attrs:
        changed = changed.with_attrs(clip=clip.scaled(fused_clip(node), factor))
    assert np.array_equal(run(changed, [v * factor for v in inputs]), expected * factor)


@having(lambda op: op.scaling is Scaling.ABSORBED)
def test_a_factor_is_absorbed(case: Case) -> None:
    x, *rest = integers(case)
    changed = spec(case.op).rescaled(node_of(case), np.array([8.0]))
    assert np.array_equal(run(changed, [8.0 * x, *rest]), run(node_of(case), [x, *rest]))


@having(lambda op: bool(op.offsets))
def test_added_constants_come_out_so_often(case: Case) -> None:
    node, inputs = node_of(case).with_attrs(clip=NO_CLIP), integers(case)
    if not any(case.attrs.get("pads", ())):
        moved = [v + 2.0 ** (3 + i) for i, v in enumerate(inputs)]
        total = sum(n * 2.0 ** (3 + i) for i, n in enumerate(spec(case.op).offsets))
        assert np.allclose(run(node, moved), run(node, inputs) + total, **ROUNDING)


@having(lambda op: op.output is not None)
def test_the_dictated_format_is_that_of_the_integers(case: Case) -> None:
    made, (form, acts) = spec(case.op).output, integer_form(case)
    assert made is not None
    found = acts[form.node.output]
    assert (found.kind, found.frac, found.zero) == (made.kind, made.frac, made.zero)


@having(lambda op: op.weights is not None)
def test_rows_of_weights_times_columns_are_the_layer(case: Case) -> None:
    import torch

    graph, node, (x, weights, bias) = float_graph(case), node_of(case), integers(case)
    rows = to_rows(node, graph, weights)
    assert np.array_equal(from_rows(node, graph, rows), weights)
    taps = columns(node, graph, torch.from_numpy(x.astype(np.float64))).numpy()
    sums = taps @ rows.transpose(0, 2, 1)
    found = sums.transpose(1, 0, 2).reshape(ROWS, *graph.shape(node.output)[1:])
    assert np.allclose(found + bias, before_clip(node, x, weights, bias), **ROUNDING)


def test_limits_below_zero_make_values_negative() -> None:
    net = Net((1, 4))
    relu = net.node("clip", "x", low=0.0, high=math.inf)
    below = net.node("clip", relu, low=-math.inf, high=-1.0)
    assert never_negative(net.graph(below)) == {relu}


def test_what_runs_in_16_bits_has_a_case_there() -> None:
    wide = {
        case.op for case in CASES if "s16" in (case.kind, *(a.kind for a in case.acts.values()))
    }
    assert wide - {"requant", "lookup"} == {op.name for op in OPS if op.runs_s16}
