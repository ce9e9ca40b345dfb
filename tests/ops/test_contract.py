"""What every operator of the table must keep, over the cases of ``op_cases``: the shape rule gives
the real shape, integers are as near to float as the format allows, and C equals ``run_int``.
"""

from __future__ import annotations

import functools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from every_kernel import EVERY_FEATURE, ROWS, Every, feeds
from op_cases import CASES, Case, float_graph, integer_form, network

from mcuq.emulate import qemu
from mcuq.firmware import image as build
from mcuq.fixed import RANGES, dequantize
from mcuq.ir import Array
from mcuq.kernels import VARIANTS
from mcuq.measure import check
from mcuq.model import vectors
from mcuq.model.compiled import Compiled
from mcuq.ops import OPS, spec
from mcuq.reference import run_float, run_int
from mcuq.targets import boards
from mcuq.targets.cores import CHECKED

WITHOUT_FLOAT = {op.name for op in OPS if op.run_float is None}
TWINS = [case for case in CASES if case.op not in WITHOUT_FLOAT]


@functools.cache
def results() -> dict[str, Array]:
    return run_int(network(), feeds())


def float_result(case: Case) -> Array:
    reals = {n: dequantize(feeds()[n], act.frac, act.zero) for n, act in case.acts.items()}
    return run_float(float_graph(case), reals, {case.name})[case.name]


def test_every_operator_has_cases() -> None:
    counts = Counter(case.op for case in CASES)
    assert set(counts) == {op.name for op in OPS}
    assert min(counts.values()) >= 2


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_shape_rule_gives_the_real_shape(case: Case) -> None:
    node = integer_form(case)[0].node
    shapes = [network().tensors[name].shape for name in node.inputs]
    inferred = (ROWS, *spec(node.op).infer(node, shapes)[1:])
    assert results()[case.name].shape == inferred
    if case.op not in WITHOUT_FLOAT:
        assert float_result(case).shape == inferred


@pytest.mark.parametrize("case", TWINS, ids=[case.name for case in TWINS])
def test_integers_follow_the_float_twin(case: Case) -> None:
    """Within ``case.bound`` LSB of the float result, saturated to what its bits can hold.

    Outside its domain a function has no float result.
    """
    found, real = results()[case.name], float_result(case).astype(np.float64)
    if not spec(case.op).gives_indices:
        real = np.clip(real * 2.0**case.frac + case.zero, *RANGES[case.kind])
    assert np.abs(found - real)[~np.isnan(real)].max() <= case.bound


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_kernel_equals_run_int_on_the_host(compiler: str, tmp_path: Path) -> None:
    """All kernels: the variants for other cores have a portable body. Sanitized."""
    compiled = Every(EVERY_FEATURE).compiled()
    ran = {step.variant.symbol for step in compiled.program.steps}
    assert ran == {variant.symbol for variant in VARIANTS}, "a kernel has no case"
    program = build.compile_host(compiled.files, compiled.entry, tmp_path, True, compiler)
    assert first_difference(compiled, program) is None


@pytest.mark.emulated
@pytest.mark.parametrize("name", CHECKED)
def test_every_kernel_equals_run_int_on_every_core(name: str, tmp_path: Path) -> None:
    board = boards.load(name)
    compiled = Every(boards.cpu(board)).compiled()
    image = build.compile_image(compiled.files, compiled.entry, board, tmp_path, "trace")
    assert first_difference(compiled, image) is None


def first_difference(compiled: Compiled, program: build.Image | Path) -> check.Difference | None:
    graph = compiled.program.qgraph
    rows = {port.name: feeds()[port.tensor] for port in graph.inputs}
    traces = qemu.run_trace(program, vectors.to_bytes(compiled.bundle, rows), compiled.entry)
    return check.compare(compiled, "", "", traces, run_int(graph, rows)).first
