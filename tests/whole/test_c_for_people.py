"""What a program may take from, and put into, the generated C: numbers as macros, hooks around
steps, sections for weights and code, and a self-test.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import replace
from pathlib import Path

import c_programs
import numpy as np
import pytest

from mcuq import importers
from mcuq.config import Config, InputConfig, parse
from mcuq.emit import stamp
from mcuq.emulate import qemu
from mcuq.errors import McuqError
from mcuq.files import assets
from mcuq.firmware import image
from mcuq.flows.compile import compile_model, prepare
from mcuq.model import bundle
from mcuq.model.compiled import Compiled, generate
from mcuq.targets import boards

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"
SECTIONS = """
#define MCUQ_FLASH __attribute__((section(".qspi")))
#define MCUQ_FAST_CODE __attribute__((section(".itcm")))
"""
HOOKS = """
void seen(int step, int done);
#define MCUQ_STEP_HOOK(i) seen((i), 0)
#define MCUQ_STEP_DONE(i) seen((i), 1)
"""
CONFIG = '-DMCUQ_CONFIG="my_config.h"'


@functools.cache
def digits(core: str | None = None, kind: str = "s8") -> Compiled:
    if core:
        return generate(digits(None, kind).bundle, boards.load(core))
    bytes_in = {"image": InputConfig("u8", mean=(12.5,), std=(51.0,))}
    settings = Config(inputs=bytes_in if kind == "u8" else {}, quantize={"effort": "fast"})
    rows = np.random.default_rng(0).uniform(0, 1, (32, 1, 8, 8)).astype(np.float32)
    return compile_model(DIGITS, calibration=rows, config=settings)


def written(made: Compiled, folder: Path, settings: str = "") -> Path:
    c_programs.write(made.files, folder)
    (folder / "my_config.h").write_text(settings)
    return folder


def ran(folder: Path, main: str, *flags: str) -> str:
    """What a program with digits prints."""
    (folder / "main.c").write_text(main)
    sources = sorted(path.relative_to(folder) for path in folder.rglob("*.c"))
    command = ["gcc", "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-I.", *flags]
    c_programs.run([*command, *sources, "-o", "main"], folder)
    return c_programs.run([folder / "main"], folder).decode()


MACROS = """
#include <stdio.h>
#include "digits.h"
static const int in[DIGITS_IN_IMAGE_DIMS] = DIGITS_IN_IMAGE_SHAPE;
static const int out[DIGITS_OUT_LOGITS_DIMS] = DIGITS_OUT_LOGITS_SHAPE;
int main(void)
{
    printf("%d %d %d %d, %d %d, ", in[0], in[1], in[2], in[3], out[0], out[1]);
    printf("%a %a, ", (double)DIGITS_IN_IMAGE_SCALE, (double)DIGITS_IN_IMAGE_ZERO);
    printf("%a %a\\n", (double)DIGITS_OUT_LOGITS_SCALE, (double)DIGITS_OUT_LOGITS_ZERO);
    return 0;
}
"""


@pytest.mark.parametrize("kind", ["s8", "u8"])
def test_shapes_and_scales_are_macros(kind: str, tmp_path: Path) -> None:
    made = digits(None, kind)
    found = ran(written(made, tmp_path), MACROS).strip().split(", ")
    graph = made.program.qgraph
    ports = (*graph.inputs, *graph.outputs)
    assert found[:2] == [" ".join(map(str, graph.tensors[p.tensor].shape)) for p in ports]
    numbers = [[float(np.float32(x)) for x in (p.scale[0], p.offset[0])] for p in ports]
    assert [[float.fromhex(x) for x in text.split()] for text in found[2:]] == numbers
    assert ("The bytes go in as they are." in made.files["digits.h"]) == (kind == "u8")


def test_no_float_is_used_by_the_c(tmp_path: Path) -> None:
    """Scales are macros of the header that nothing of the C reads."""
    files = digits().files
    for name in c_programs.sources(files):
        assert not re.search(r"_(SCALE|ZERO)S?\b|\b(float|double)\b", files[name]), name


LABELS = """
#include <stdio.h>
#include "digits.h"
static const char *const names[] = DIGITS_OUT_LOGITS_LABELS;
int main(void)
{
    for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++) {
        printf("%s|", names[i]);
    }
    return 0;
}
"""
NAMES = ("zero", 'a "quote"', "back\\slash", "Größe", "what??/", "\n7", "*/", "%s", "", "nine" * 30)


def test_labels_are_a_macro(tmp_path: Path) -> None:
    """Whatever stands in them, and also in C made anew for another core."""
    made = digits().bundle
    port = replace(made.qgraph.outputs[0], labels=NAMES)
    labelled = replace(made, qgraph=replace(made.qgraph, outputs=(port,)))
    (tmp_path / "mcuq_model.npz").write_bytes(bundle.dump(labelled))
    again = generate(bundle.load(tmp_path), boards.load("cortex-m4"))
    written(again, tmp_path)
    (tmp_path / "main.c").write_text(LABELS)
    c_programs.run(["gcc", "-std=c99", "-trigraphs", "-I.", "main.c", "-o", "main"], tmp_path)
    assert c_programs.run([tmp_path / "main"], tmp_path).decode() == "|".join([*NAMES, ""])
    assert "_LABELS" not in digits().files["digits.h"]


def test_labels_come_with_the_configuration() -> None:
    table = {"output": {"logits": {"labels": [f"digit {i}" for i in range(10)]}}}
    graph = prepare(importers.load(DIGITS), parse(table, "x.toml"))
    assert graph.outputs[0].labels == tuple(f"digit {i}" for i in range(10))


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"logits": {"labels": ["one"]}}, "has 10 values, but 1 labels"),
        ({"logit": {"labels": ["one"]}}, "Did you mean 'logits'"),
        ({"logits": {"labels": "one"}}, "output.logits.labels is not a list of texts"),
        ({"logits": {"label": ["one"]}}, "unknown key output.logits.label"),
    ],
)
def test_labels_that_do_not_fit_are_refused(output: dict[str, object], message: str) -> None:
    with pytest.raises(McuqError, match=re.escape(message)):
        prepare(importers.load(DIGITS), parse({"output": output}, "x.toml"))


STEPS = """
#include <stdio.h>
#include "digits.h"
#include "my_config.h"
static int8_t arena[DIGITS_ARENA_LEN], in[DIGITS_IN_IMAGE_LEN], out[DIGITS_OUT_LOGITS_LEN];
void seen(int step, int done)
{
    printf("%d.%d ", step, done);
}
int main(void)
{
    digits_run(arena, in, out);
    return 0;
}
"""


def test_hooks_stand_before_and_after_every_step(tmp_path: Path) -> None:
    folder = written(digits(), tmp_path, HOOKS)
    steps = range(len(digits().program.steps))
    assert ran(folder, STEPS, CONFIG).split() == [f"{i}.{done}" for i in steps for done in (0, 1)]
    assert len(json.loads(digits().files["report.json"])["steps"]) == len(steps)


def test_hooks_cost_nothing_where_there_are_none(tmp_path: Path) -> None:
    """The same code as from a file without them."""
    folder = written(digits(), tmp_path)
    text = (folder / "digits.c").read_text()
    assert text.count("MCUQ_STEP_") == 2 * len(digits().program.steps)
    (folder / "bare.c").write_text(re.sub(r" *MCUQ_STEP_\w+\(\d+\);\n", "", text))
    for name in ("digits", "bare"):
        c_programs.run(["gcc", "-O2", "-I.", "-c", f"{name}.c"], folder)
        c_programs.run(["objcopy", "-O", "binary", f"{name}.o", f"{name}.bin"], folder)
    assert (folder / "digits.bin").read_bytes() == (folder / "bare.bin").read_bytes()


@pytest.mark.emulated
@pytest.mark.parametrize("name", ["mps2_an385_m0", "mps3_an547"])
def test_all_code_lies_where_the_program_says(name: str, tmp_path: Path) -> None:
    """Of every kernel, as plain C and as the richest core has it: nothing is left in .text."""
    board = boards.load(name)
    texts = {name: path.read_text() for name, path in assets.kernel_files().items()}
    folder = c_programs.write(stamp.stamped(texts), tmp_path)
    (folder / "my_config.h").write_text(SECTIONS)
    kernels = sorted(name for name in texts if name.endswith(".c"))
    command = [f"{board.toolchain}-gcc", *board.flags, "-std=c99", "-O2", "-I.", CONFIG]
    c_programs.run([*command, "-c", *kernels], folder)
    for kernel in kernels:
        found = sections(folder, board.toolchain, kernel.replace(".c", ".o"))
        assert found.get(".text", 0) == 0, kernel
        assert found[".itcm"] > 0, kernel


@pytest.mark.emulated
def test_all_weights_lie_where_the_program_says(tmp_path: Path) -> None:
    board, made = boards.load("cortex-m4"), digits("cortex-m4")
    folder = written(made, tmp_path, SECTIONS)
    command = [f"{board.toolchain}-gcc", *board.flags, *c_programs.STRICT, "-I.", CONFIG]
    c_programs.run([*command, "-c", "digits.c", "digits_selftest.c"], folder)
    weights = sum(step.flash for step in made.program.steps)
    assert weights <= sections(folder, board.toolchain, "digits.o")[".qspi"] < weights + 64
    parameters = sections(folder, board.toolchain, "digits.o")[".rodata"]
    assert parameters < 1000
    assert sections(folder, board.toolchain, "digits_selftest.o")[".qspi"] in range(74, 80)


def sections(folder: Path, toolchain: str, path: str) -> dict[str, int]:
    """The bytes of an object by section."""
    text = c_programs.run([f"{toolchain}-size", "-A", path], folder).decode()
    rows = re.findall(r"^(\.[\w.]+)\s+(\d+)\s", text, re.MULTILINE)
    return {name: int(size) for name, size in rows}


SELFTEST = """
#include "digits.h"
static int8_t arena[DIGITS_ARENA_LEN] __attribute__((aligned(16)));
static int8_t out[DIGITS_OUT_LOGITS_LEN] __attribute__((aligned(4)));
int main(void);
int main(void)
{
    return digits_selftest(arena, out);
}
"""


@pytest.mark.emulated
@pytest.mark.parametrize("name", ["mps2_an385_m0", "mps2_an386", "mps3_an547", "riscv32_virt"])
def test_the_self_test_passes_on_every_core(name: str, tmp_path: Path) -> None:
    board, made = boards.load(name), digits(name)
    extra = {"main.c": SELFTEST}
    built = image.compile_image(made.files, made.entry, board, tmp_path, "custom", extra=extra)
    qemu.execute(built, tmp_path)


@pytest.mark.parametrize("array", ["known_in_image", "known_out_logits"])
def test_the_self_test_finds_one_wrong_number(array: str, tmp_path: Path) -> None:
    folder = written(digits(), tmp_path)
    assert ran(folder, SELFTEST) == ""
    text = (folder / "digits_selftest.c").read_text()
    first = re.compile(rf"{array}\[\d+\] [^{{]*{{\n *(-?\d+)").search(text)
    assert first is not None
    wrong = 100 if int(first[1]) < 0 else -100
    text = f"{text[: first.start(1)]}{wrong}{text[first.end(1) :]}"
    (folder / "digits_selftest.c").write_text(text)
    with pytest.raises(AssertionError, match="ended with 1"):
        ran(folder, SELFTEST)


def test_a_program_without_it_need_not_compile_it(tmp_path: Path) -> None:
    folder = written(digits(), tmp_path)
    (folder / "digits_selftest.c").unlink()
    sources = [n for n in c_programs.sources(digits().files) if "selftest" not in n]
    (folder / "main.c").write_text(STEPS.replace('#include "my_config.h"', "void seen(int, int);"))
    c_programs.run(["gcc", "-std=c99", "-I.", *sources, "main.c", "-o", "main"], folder)
