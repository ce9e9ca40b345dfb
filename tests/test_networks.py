"""Whole networks, from a PyTorch module to every core: each tensor of 20 vectors is exact."""

from __future__ import annotations

import functools

import pytest

from benchmarks.networks import NETWORKS
from mcuq import boards, verify
from mcuq.compiler import Compiled, compile_model, generate
from mcuq.config import Config
from mcuq.errors import FitError

pytestmark = pytest.mark.emulated


@functools.cache
def quantized(name: str) -> Compiled:
    import torch

    network = NETWORKS[name]
    inputs = network.inputs()
    config = Config(quantize={"effort": "fast"})
    example = torch.from_numpy(inputs[:1])
    return compile_model(network.module(), example, inputs, name=name, config=config)


@pytest.mark.parametrize("board", verify.CORES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_is_exact(name: str, board: str) -> None:
    target = boards.load(board)
    compiled = generate(quantized(name).bundle, target)
    host, emulated = verify.check(compiled, [target], 20)
    assert (host.mismatches, emulated.mismatches) == (0, 0), emulated.first
    assert emulated.tensors == 20 * len(compiled.program.steps)
    assert emulated.stack is not None
    assert emulated.stack_bound is not None
    assert 0 < emulated.stack <= emulated.stack_bound
    assert emulated.ram == compiled.plan.size


@pytest.mark.parametrize("name", NETWORKS)
def test_code_for_no_board_in_particular_is_exact_everywhere(name: str) -> None:
    chosen = [boards.load(b) for b in ("mps2_an385_m0", "mps2_an386", "riscv32_virt")]
    verdicts = verify.check(quantized(name), chosen, 4)
    assert [v.mismatches for v in verdicts] == [0] * 4


def test_the_articles_network_does_not_fit_one_mebibyte() -> None:
    with pytest.raises(FitError) as refused:
        generate(quantized("article").bundle, boards.load("nrf52840_dk"))
    sentence = str(refused.value)
    assert "needs 2.0 MiB flash, nrf52840_dk has 1.0 MiB (over by" in sentence
    assert "largest: node_linear weights 2.0 MiB" in sentence
