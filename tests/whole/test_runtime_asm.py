"""What the assembly of the runtime library may assume of compilers, and what stops the build."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import c_programs
import pytest
from kernel_harness import INCLUDES, source
from test_generated_c import digits

from mcuq.files import assets

SOURCES = sorted(assets.kernel_files().values())
ARM = ("arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m4", "-std=c99", "-O2", *INCLUDES)
CLANG = ("clang", "--target=arm-none-eabi", *ARM[1:])
NAKED = source("mcuq_add_s8_dsp")


def statements(text: str) -> Iterator[str]:
    """The text within the parentheses of every asm statement, without comments."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    for found in re.finditer(r"\b__asm(?:__)?(?: volatile)?\(", text):
        depth, at, quoted = 1, found.end(), False
        while depth:
            quoted ^= text[at] == '"' and text[at - 1] != "\\"
            depth += 0 if quoted else {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        yield text[found.end() : at - 1]


def parts(statement: str) -> tuple[str, list[str]]:
    """The template, and outputs, inputs and clobbers as they stand."""
    pieces = [""]
    quoted = False
    for index, letter in enumerate(statement):
        quoted ^= letter == '"' and statement[index - 1] != "\\"
        if letter == ":" and not quoted:
            pieces.append("")
        else:
            pieces[-1] += letter
    return pieces[0], pieces[1:]


def test_no_loop_counts_down_by_two() -> None:
    """What is left of such a count is one or none: gcc 12.2 drops the test of it for Cortex-M55.

    At -Os, where the test is an ``if`` behind the loop; a kernel then writes one element too many.
    """
    loop = re.compile(r"\bfor \([^;]*;[^;]*;[^)]*-= 2\b|\bwhile \([^)]*\) \{[^}]*-= 2;")
    assert loop.search("for (; rest >= 2; rest -= 2, at += 2) {")
    assert [path.name for path in SOURCES if loop.search(path.read_text())] == []


def test_outputs_are_early_clobbers_unless_there_is_one_instruction() -> None:
    """Of two operands with equal values gcc makes one register, with -flto across functions."""
    late = []
    count = 0
    for path in SOURCES:
        for statement in statements(path.read_text()):
            template, lists = parts(statement)
            count += 1
            single = re.fullmatch(r'\s*"[^"\\]*"\s*', template)
            for constraint in re.findall(r'"([+=][^"]*)"', lists[0] if lists else ""):
                if not single and "&" not in constraint and "m" not in constraint:
                    late.append(f"{path.name}: {statement[:60]}")
    assert count > 100
    assert late == []


def test_loops_and_predicates_of_helium_are_clobbers() -> None:
    missing = []
    for path in SOURCES:
        for statement in statements(path.read_text()):
            template, lists = parts(statement)
            if len(lists) < 3:
                continue
            for used, clobber in (
                (r"\b(?:dls|wls|letp|dlstp)\b", '"lr"|CLOBBERS'),
                (r"\bv(?:ctp|pst|msr p0)|\bletp\b", "MCUQ_MVE_VPR"),
                (r"\b(?:st|push|vst)", '"memory"|CLOBBERS|"\\+m"'),
            ):
                if re.search(used, template) and not re.search(clobber, lists[-1] + lists[0]):
                    missing.append(f"{path.name}: {used} in {statement[:60]}")
    assert missing == []


def test_every_kernel_includes_the_checks_of_the_target() -> None:
    command = ["gcc", "-std=c99", *INCLUDES, "-MM"]
    for kernel in (path for path in SOURCES if path.suffix == ".c"):
        done = subprocess.run([*command, str(kernel)], capture_output=True, text=True, check=True)
        assert "mcuq_target.h" in done.stdout, kernel.name


def error(compiler: tuple[str, ...], *flags: str) -> str:
    """What stops the compiler at a kernel without C library: the text of #error, or nothing."""
    kernel = source("mcuq_softmax_s8")
    command = [*compiler, *flags, "-fsyntax-only", str(kernel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "".join(re.findall(r"error:.*mcuq: (.*?)\.", done.stderr))


@pytest.mark.emulated
@pytest.mark.parametrize(
    ("compiler", "flags", "text"),
    [
        (ARM, (), ""),
        (CLANG, (), ""),
        (ARM, ("-mbig-endian",), "weights are packed for little-endian targets"),
        (CLANG, ("-mbig-endian",), "weights are packed for little-endian targets"),
        (ARM, ("-fpic", "-msingle-pic-base"), "kernels use r9"),
        (ARM, ("-fpic", "-DMCUQ_R9_IS_FREE"), ""),
        (CLANG, ("-frwpi",), "kernels use r9"),
        (CLANG, ("-fropi",), ""),
    ],
)
def test_flags_that_would_give_wrong_numbers_stop_the_build(
    compiler: tuple[str, ...], flags: tuple[str, ...], text: str
) -> None:
    assert error(compiler, *flags) == text


def code(flags: tuple[str, ...], folder: Path) -> str:
    """The instructions of a function that is all assembly."""
    out = str(folder / "kernel.o")
    subprocess.run([*ARM, *flags, "-c", str(NAKED), "-o", out], check=True)
    command = ["arm-none-eabi-objdump", "-d", "--no-show-raw-insn", "--disassemble=add_equal", out]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return text[text.index("<add_equal>:") :]


@pytest.mark.emulated
@pytest.mark.parametrize(
    "flag",
    [
        "-finstrument-functions",
        "-pg",
        "--coverage",
        "-fstack-protector-all",
        "-fsanitize-coverage=trace-pc",
    ],
)
def test_nothing_is_put_before_functions_that_are_all_assembly(flag: str, tmp_path: Path) -> None:
    plain, changed = (
        re.findall(r"^ *[0-9a-f]+:\t(\S+)", code(flags, tmp_path), re.MULTILINE)
        for flags in ((), (flag,))
    )
    assert plain[0] in ("push", "stmdb")
    assert len(plain) > 20
    assert changed == plain


def test_an_assert_of_the_program_sees_what_is_not_aligned(tmp_path: Path) -> None:
    """Exit code 3 for an arena that lies 2 bytes too far."""
    made = digits()
    folder = c_programs.write(made.files, tmp_path)
    (folder / "main.c").write_text(
        '#include <stdlib.h>\n#include "digits.h"\n'
        "static int8_t arena[DIGITS_ARENA_LEN + 8] __attribute__((aligned(8)));\n"
        "static int8_t x[DIGITS_IN_IMAGE_LEN] __attribute__((aligned(4)));\n"
        "static int8_t y[DIGITS_OUT_LOGITS_LEN] __attribute__((aligned(4)));\n"
        "int main(int count, char **names)\n{\n    (void)names;\n"
        "    digits_run(arena + 2 * (count - 1), x, y);\n    return 0;\n}\n"
    )
    sources = [*c_programs.sources(made.files), "main.c"]
    flags = ["-I.", "-Ikernels", "-include", "stdlib.h"]
    flags += ["-DMCUQ_ASSERT(true_thing)=((true_thing)?(void)0:exit(3))"]
    c_programs.run(["gcc", *c_programs.STRICT, *flags, *sources, "-o", "run"], folder)
    for arguments, expected in ((["./run"], 0), (["./run", "shift"], 3), (["./run", "2", "3"], 0)):
        assert subprocess.run(arguments, cwd=folder, check=False).returncode == expected
