"""Every kernel is exact at every level, with every compiler and core, wherever its code lies.

All functions lie 2 bytes further than the compiler thinks is natural: a kernel that depends on its
place, on which registers operands get, on what an optimizer keeps, or on unaligned words where
they fault, is wrong here. The cases are those of ``op_cases``, some for each kernel.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from pathlib import Path

import numpy as np
import pytest
from kernel_harness import TARGETS, Case, check, check_riscv32
from op_cases import network

from mcuq.files import assets
from mcuq.fixed import DTYPES, RANGES
from mcuq.ir import Array, Node
from mcuq.kernels import VARIANTS, mve
from mcuq.kernels.variant import Variant
from mcuq.qir import QGraph
from mcuq.reference import run_int

LEVELS = ("-O0", "-Og", "-O2", "-Os", "-O3", "-O2 -flto", "-O3 -flto")
CLANG_LEVELS = ("-O0", "-Og", "-O2", "-Os", "-O3")
EACH = 5  # cases of a kernel
BATCH = 60  # cases of an image: 512 KB of code and constants on Cortex-M55
ANY, DSP = frozenset({""}), frozenset({"", "thumb2", "dsp"})
FILES = frozenset(path.stem for path in assets.kernel_files().values() if path.suffix == ".c")
# What runs on a core: kernels by the features they need.
CORES = {
    "v6m": ANY,
    "m4": DSP,
    "m4-aligned": frozenset({"thumb2", "dsp"}),
    "m7": DSP,
    "m33": DSP,
    "m55": DSP | {"mve"},
    "riscv32": ANY,
}
CLANG_ARM = ("v6m-clang", "m4-clang", "m4-aligned-clang", "m55-clang")
# Those whose code is that of M4: what is compiled for their pipelines.
LIKE_M4 = ("m7", "m33")
WORDS = {v.symbol for v in mve.VARIANTS if "quad" in v.symbol}  # read words in the arena
RUNS = [
    *itertools.product((core for core in CORES if core not in LIKE_M4), LEVELS),
    *itertools.product(LIKE_M4, ("-O3 -flto",)),
    *itertools.product((*CLANG_ARM, "riscv32-clang"), CLANG_LEVELS),
    *itertools.product(CLANG_ARM, ("-O2 -flto",)),
]


@functools.cache
def _operators() -> tuple[QGraph, dict[str, Array]]:
    """All of ``op_cases`` as a graph without ports, and the value of every tensor."""
    graph = network()
    random = np.random.default_rng(0)
    feeds: dict[str, Array] = {}
    for port in graph.inputs:
        tensor = graph.tensors[port.tensor]
        low, high = RANGES[tensor.kind]
        feeds[tensor.name] = random.integers(low, high + 1, tensor.shape).astype(
            DTYPES[tensor.kind]
        )
    values = {**feeds, **run_int(graph, feeds)}
    return dataclasses.replace(graph, inputs=(), outputs=()), values


def _placed(variant: Variant, node: Node, index: int) -> Case:
    """In place where it may be, every other time; else at any address."""
    graph, values = _operators()
    calls = variant.lower(node, graph)
    variant = dataclasses.replace(variant, lower=lambda *_: calls)
    acts = [name for name in node.inputs if not graph.is_constant(name)]
    inputs = {name: values[name] for name in acts}
    narrow = all(values[name].itemsize == 1 for name in (*acts, node.output))
    overlaps = index % 2 == 1 and len(inputs) and variant.gap(node, graph, 0) is not None
    misalign = index // 2 % 4 if narrow and variant.symbol not in WORDS and not overlaps else 0
    label = f"{variant.symbol} {node.name}"
    over = 0 if overlaps and acts[0] == node.inputs[0] else None
    return Case(variant, node, graph, inputs, values[node.output], over, misalign, label)


@functools.cache
def cases_of(symbol: str) -> tuple[Case, ...]:
    """Some cases of the kernel, spread over all that it takes."""
    graph, _ = _operators()
    found = [
        (variant, node)
        for variant in VARIANTS
        for node in graph.nodes
        if variant.symbol == symbol and node.op == variant.op and variant.suits(node, graph)
    ]
    step = max(1, len(found) // EACH)
    return tuple(_placed(*pair, index) for index, pair in enumerate(found[::step][:EACH]))


def kernels(core: str) -> list[str]:
    """The kernels that run on the core, by the symbols of their variants."""
    features = CORES[core.removesuffix("-clang")]
    return sorted({v.symbol for v in VARIANTS if max(v.needs, default="") in features})


def shifted(folder: Path, core: str) -> tuple[str, str]:
    """Flags that put half an instruction word before all code of a file."""
    nothing = "0x0001" if core.startswith("riscv32") else "0x46c0"
    header = folder / "shifted.h"
    header.write_text(f'__asm__(".text\\n\\t.balign 4\\n\\t.short {nothing}\\n");\n')
    return "-include", str(header)


@pytest.mark.emulated
@pytest.mark.parametrize(("core", "level"), RUNS)
def test_exact(core: str, level: str, tmp_path: Path) -> None:
    cases = [case for symbol in kernels(core) for case in cases_of(symbol)]
    flags = (*level.split(), *shifted(tmp_path, core))
    if core.startswith("riscv32"):
        compiler = "clang" if core.endswith("-clang") else "gcc"
        check_riscv32(cases, tmp_path, *flags, compiler=compiler)
    else:
        for first in range(0, len(cases), BATCH):
            check(cases[first : first + BATCH], TARGETS[core].at(*flags), tmp_path)


def test_every_kernel_file_is_run_at_every_level() -> None:
    graph, _ = _operators()
    for level in LEVELS:
        symbols = {symbol for core, at in RUNS if at == level for symbol in kernels(core)}
        run = [case for symbol in symbols for case in cases_of(symbol)]
        called = {call.symbol for case in run for call in case.variant.lower(case.node, graph)}
        assert called == FILES, f"at {level}"
