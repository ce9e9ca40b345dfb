"""Seeded random networks from ONNX bytes to C: the float graph is what onnx's evaluator computes,
and every tensor of the generated code is exact.
"""

from __future__ import annotations

import functools
import tempfile
import warnings
from pathlib import Path

import onnx
import onnx_models
import pytest
import random_networks

from mcuq.config import Config
from mcuq.emulate import qemu, stack
from mcuq.firmware import image as build
from mcuq.firmware.image import Image
from mcuq.flows.compile import compile_model
from mcuq.importers.nodes.handlers import HANDLERS
from mcuq.measure import check
from mcuq.model import vectors
from mcuq.model.compiled import Compiled, generate
from mcuq.reference import run_int
from mcuq.targets import boards
from mcuq.targets.cores import CHECKED

SEEDS = range(40)
EMULATED = range(5)
STACKS = (
    (0, "mps3_an547"),
    (5, "mps2_an386"),
    (3, "mps2_an385_m0"),
    (6, "riscv32_virt"),
    (17, "mps2_an386"),
)
VECTORS = 12
# Some need a newer opset than the generator's and Upsample an older one, some only ever see
# constants, and networks that are quantized already have tests of their own, as have rarer moves.
NOT_GENERATED = {
    *("Swish", "RMSNormalization", "Attention", "GroupNormalization", "Upsample"),
    *("CastLike", "Shape", "Size", "QuantizeLinear", "DequantizeLinear"),
    *("GatherElements", "GatherND", "ReverseSequence"),
    "Hardmax",  # which ties of rounded values decide
    "GlobalLpPool",  # which onnx's evaluator has not
    "DFT",  # a product with constants: tests/importers/test_importers_written_out.py
    "STFT",  # of which only features are made: tests/importers/test_importers_sound.py
}


def test_every_onnx_operator_appears() -> None:
    found = {n.op_type for seed in range(800) for n in random_networks.model(seed).graph.node}
    assert set(HANDLERS) - found <= NOT_GENERATED


def test_the_same_seed_gives_the_same_network() -> None:
    one, two, other = (random_networks.model(seed).SerializeToString() for seed in (7, 7, 8))
    assert one == two != other


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_float_graph_is_what_onnx_computes(seed: int, tmp_path: Path) -> None:
    proto = random_networks.model(seed)
    with warnings.catch_warnings():
        # onnx's own Sigmoid overflows on its way to the right result.
        warnings.simplefilter("ignore", RuntimeWarning)
        onnx_models.agrees(proto, tmp_path, rows=1, tolerance=1e-4)


@functools.cache
def compiled(seed: int) -> Compiled:
    proto: onnx.ModelProto = random_networks.model(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = onnx_models.save(proto, Path(folder), f"random_{seed}.onnx")
        config = Config(quantize={"effort": "fast"})
        calibration = random_networks.inputs(seed, proto)
        return compile_model(path, calibration=calibration, config=config)


def first_difference(made: Compiled, program: Image | Path) -> check.Difference | None:
    rows = vectors.make(made.bundle, VECTORS)
    traces = qemu.run_trace(program, vectors.to_bytes(made.bundle, rows), made.entry)
    return check.compare(made, "", "", traces, run_int(made.program.qgraph, rows)).first


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_every_tensor_is_exact_on_the_host(seed: int, tmp_path: Path) -> None:
    """Sanitized, with gcc and clang in turn; one in three as for a core with all fast kernels."""
    made = compiled(seed)
    if seed % 3 == 2:
        made = generate(made.bundle, boards.load("mps3_an547"))
    compiler = ("gcc", "clang")[seed % 2]
    program = build.compile_host(made.files, made.entry, tmp_path, True, compiler)
    assert first_difference(made, program) is None


@pytest.mark.emulated
@pytest.mark.parametrize("name", CHECKED)
@pytest.mark.parametrize("seed", EMULATED)
def test_every_tensor_is_exact_on_every_core(seed: int, name: str, tmp_path: Path) -> None:
    board = boards.load(name)
    made = generate(compiled(seed).bundle, board)
    image = build.compile_image(made.files, made.entry, board, tmp_path, "trace")
    assert first_difference(made, image) is None


@pytest.mark.emulated
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize(("seed", "name"), STACKS)
def test_no_more_stack_is_painted_than_proven(
    seed: int, name: str, compiler: str, tmp_path: Path
) -> None:
    board = boards.load(name)
    made = generate(compiled(seed).bundle, board)
    args = (made.files, made.entry, board, tmp_path, "plain")
    image = build.compile_image(*args, compiler=compiler)
    rows = vectors.to_bytes(made.bundle, vectors.make(made.bundle, 2))
    painted = max(stack.measured(image, row) for row in rows)
    assert 0 < painted <= stack.worst_case(image).bytes <= painted + 64
