"""Whole networks, from a PyTorch module to every core: each tensor of 20 vectors is exact."""

from __future__ import annotations

import functools
import json
from dataclasses import replace

import pytest

from benchmarks import instructions
from benchmarks.networks import NETWORKS
from mcuq.config import Config
from mcuq.errors import FitError
from mcuq.flows.compile import compile_model
from mcuq.measure import check
from mcuq.measure.bench import bench
from mcuq.model.compiled import Compiled, generate
from mcuq.targets import boards
from mcuq.targets.cores import CHECKED

pytestmark = pytest.mark.emulated

M4 = boards.load("mps2_an386")


@functools.cache
def quantized(name: str) -> Compiled:
    import torch

    network = NETWORKS[name]
    inputs = network.inputs()
    config = Config(quantize={"effort": "fast"})
    example = torch.from_numpy(inputs[:1])
    return compile_model(network.module(), example, inputs, name=name, config=config)


def recorded(name: str, board: str) -> int:
    """The instructions in ``benchmarks/instructions.json`` (make bench)."""
    column = next(c for c, chosen in instructions.CORES.items() if chosen == (board, "balanced"))
    count: int = json.loads(instructions.RECORD.read_text())[name][column]["instructions"]
    return count


@pytest.mark.parametrize("board", CHECKED)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_is_exact(name: str, board: str) -> None:
    target = boards.load(board)
    compiled = generate(quantized(name).bundle, target)
    host, emulated = check.check(compiled, [target], 20)
    assert (host.mismatches, emulated.mismatches) == (0, 0), emulated.first
    assert emulated.tensors == 20 * len(compiled.program.steps)
    assert emulated.stack is not None
    assert emulated.stack_bound is not None
    assert 0 < emulated.stack <= emulated.stack_bound
    assert emulated.ram == compiled.plan.size
    assert emulated.instructions is not None
    assert emulated.instructions <= 1.02 * recorded(name, board)


@pytest.mark.parametrize("name", NETWORKS)
def test_code_for_no_board_in_particular_is_exact_everywhere(name: str) -> None:
    chosen = [boards.load(b) for b in ("mps2_an385_m0", "mps2_an386", "riscv32_virt")]
    verdicts = check.check(quantized(name), chosen, 4)
    assert [v.mismatches for v in verdicts] == [0] * 4


def test_the_articles_network_does_not_fit_one_mebibyte() -> None:
    with pytest.raises(FitError) as refused:
        generate(quantized("article").bundle, boards.load("nrf52840_dk"))
    sentence = str(refused.value)
    assert "needs 2.1 MiB flash, nrf52840_dk has 1.0 MiB (over by" in sentence
    assert "largest: node_linear weights 2.0 MiB" in sentence


def test_preferences_differ_as_their_names_say() -> None:
    found = {}
    for prefer in ("size", "balanced", "speed"):
        bundle = replace(quantized("ic").bundle, prefer=prefer)
        found[prefer] = bench(generate(bundle, M4), M4)
    assert found["size"].flash < found["balanced"].flash < found["speed"].flash
    cycles = [found[p].cycles_estimate or 0 for p in ("size", "balanced", "speed")]
    assert cycles == sorted(cycles, reverse=True)
    assert len(set(cycles)) == 3
