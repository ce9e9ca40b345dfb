from __future__ import annotations

from pathlib import Path

import pytest
from tiny_model import ENTRY, FILES, with_kernel

from mcuq.emulate import stack
from mcuq.emulate.stack import Frames, Functions, bound, read_callgraphs
from mcuq.errors import ModelError
from mcuq.firmware import image as build
from mcuq.firmware.elf import Elf, Symbol
from mcuq.firmware.image import Image
from mcuq.firmware.listing import Instruction, parse
from mcuq.targets import boards

CALLGRAPH = """\
graph: { title: "m.c"
node: { title: "m_run" label: "m_run\\nm.c:4:5\\n32 bytes (static)" }
node: { title: "m.c:inner.constprop.0" label: "inner\\nm.c:1:1\\n48 bytes (static)" }
node: { title: "memcpy" label: "__builtin_memcpy\\n<built-in>" shape : ellipse }
edge: { sourcename: "m_run" targetname: "__indirect_call" label: "m.c:4:60" }
edge: { sourcename: "m.c:inner.constprop.0" targetname: "memcpy" }
}
"""


def test_frames_are_read_from_gccs_file() -> None:
    assert read_callgraphs([CALLGRAPH]) == Frames(
        {"m_run": 32, "inner.constprop.0": 48}, frozenset({"m_run"})
    )


def _program(known: dict[str, int], **functions: str) -> Functions:
    """Functions at 0x100, 0x200, ...; instructions are separated by ``;``."""
    rows, symbols = [], []
    for number, (name, body) in enumerate(functions.items(), 1):
        instructions = body.split("; ")
        symbols.append(Symbol(name, 0x100 * number, 2 * len(instructions), "function"))
        rows += [
            f" {0x100 * number + 2 * i:x}:\tbf00 \t{text.replace(' ', chr(9), 1)}"
            for i, text in enumerate(instructions)
        ]
    return Functions(parse("\n".join(rows)), Elf((), tuple(symbols)), Frames(known, frozenset()))


def test_the_deepest_chain_decides() -> None:
    program = _program(
        {"run": 16, "a": 8, "b": 40, "c": 24},
        run="bl 200 <a>; bl 300 <b>; bx lr",
        a="b.n 400 <c>",
        b="bx lr",
        c="bx lr",
    )
    assert bound(program, "run") == stack.Bound(56, ("run", "b"))


def _twins() -> Functions:
    """run calls two static functions that share the name ``pair``, the second a third one."""
    bodies = {0x100: "bl 200 <pair>; bl 300 <pair>; bx lr", 0x200: "push {r4}; bx lr",
              0x300: "push {r4, r5}; b.n 400 <pair>", 0x400: "push {r4-r7}; bx lr"}  # fmt: skip
    rows, symbols = [], []
    for start, body in bodies.items():
        parts = body.split("; ")
        name, local = ("run", False) if start == 0x100 else ("pair", True)
        symbols.append(Symbol(name, start, 2 * len(parts), "function", local))
        rows += [f" {start + 2 * i:x}:\tbf00 \t{text.replace(' ', chr(9), 1)}"
                 for i, text in enumerate(parts)]  # fmt: skip
    return Functions(parse("\n".join(rows)), Elf((), tuple(symbols)), Frames({}, frozenset()))


def test_static_functions_that_share_a_name_are_different_functions() -> None:
    assert bound(_twins(), "run") == stack.Bound(24, ("run", "pair", "pair"))


def test_of_a_global_and_a_static_function_the_global_one_has_the_name() -> None:
    static, known = (Symbol("put_run", 0x100 * n, 2, "function", n == 1) for n in (1, 2))
    assert Elf((), (static, known)).address("put_run") == 0x200
    assert Elf((), (static,)).address("put_run") == 0x100


def test_a_frame_known_under_an_alias_counts() -> None:
    program = _program({"b": 40}, a="bx lr")
    both = (*program.elf.symbols, Symbol("b", 0x100, 2, "function"))
    assert bound(Functions(program.listing, Elf((), both), program.frames), "a").bytes == 40


def test_a_far_jump_of_armv6m_is_no_call_and_does_not_return() -> None:
    far = _program({}, run="push {lr}; beq.n 106; pop {pc}; bl 102 <run+0x2>", next="bl 100 <run>")
    assert bound(far, "run") == stack.Bound(4, ("run",))


def test_a_push_in_inline_assembly_counts() -> None:
    program = _program({"run": 8}, run="push {r4, lr}; push {r0, r1}; pop {r0, r1}; pop {r4, pc}")
    assert bound(program, "run").bytes == 16


def test_a_library_function_is_read_from_its_instructions() -> None:
    """It goes on to the next one where its code does not end."""
    program = _program({"run": 8}, run="bl 200 <f>; bx lr", f="push {r4, lr}; pop {r4, pc}")
    assert bound(program, "run") == stack.Bound(16, ("run", "f"))
    falls = _program({}, run="push {r4, lr}; nop")
    with pytest.raises(ModelError, match="recursion"):
        bound(falls, "run")


@pytest.mark.parametrize(
    ("functions", "reason"),
    [
        ({"run": "bl 200 <a>; bx lr", "a": "bl 100 <run>; bx lr"}, "recursion: run -> a -> run"),
        ({"run": "blx r3; bx lr"}, "it calls through a pointer"),
        ({"run": "add sp, r3; bx lr"}, "run: its stack frame is unknown"),
        ({"run": "bl 10 <x>; bx lr"}, "no function is there"),
    ],
)
def test_what_cannot_be_proven_is_an_error(functions: dict[str, str], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        bound(_program({}, **functions), "run")


def test_a_frame_without_constant_size_is_an_error() -> None:
    with pytest.raises(ModelError, match="no constant size"):
        read_callgraphs([CALLGRAPH.replace("48 bytes (static)", "48 bytes (dynamic)")])


@pytest.mark.parametrize(
    ("name", "operands", "size"),
    [
        ("push", "{r4, r5, lr}", 12),
        ("push", "{r4-r7, lr}", 20),
        ("vpush", "{d8-d15}", 64),
        ("vpush", "{s16}", 4),
        ("stmdb", "sp!, {r4, r5}", 8),
        ("stmdb", "r1!, {r4, r5}", 0),
        ("str", "lr, [sp, #-8]!", 8),
        ("str", "r0, [r1, #4]", 0),
        ("sub", "sp, #24", 24),
        ("sub", "sp, sp, #260", 260),
        ("add", "sp, #24", 0),
        ("add", "sp,sp,-48", 48),
        ("addi", "sp,sp,-16", 16),
        ("add", "sp,sp,16", 0),
        ("add", "r1, sp, #4", 0),
        ("add", "sp, r3", None),
        ("mov", "sp, r7", None),
        ("mov", "r7, sp", 0),
    ],
)
def test_what_an_instruction_pushes(name: str, operands: str, size: int | None) -> None:
    assert stack._pushed(Instruction(0, 2, name, operands, None)) == size


def _deep(name: str, folder: Path) -> Image:
    """A kernel with a frame, memset, memcpy and a 64-bit division, which libgcc supplies."""
    body = """
    volatile uint64_t big = 1000 + (uint32_t)length, divisor = 3 + (uint32_t)length;
    int8_t copy[64];
    memset(copy, length, 64);
    memcpy(copy, in, (unsigned)length);
    for (int i = 0; i < length; i++) {
        out[i] = (int8_t)(copy[i] + copy[i + 8] + (int8_t)(big / divisor));
    }"""
    return build.compile_image(with_kernel(body), ENTRY, boards.load(name), folder, "plain")


@pytest.mark.emulated
@pytest.mark.parametrize(
    "name", ["microbit", "mps2_an385", "mps2_an386", "mps2_an505", "mps3_an547", "riscv32_virt"]
)
def test_the_bound_holds_and_is_tight(name: str, tmp_path: Path) -> None:
    """Within 32 bytes: the division normalizes, so that its deepest helper may not be called."""
    image = _deep(name, tmp_path)
    proven = stack.worst_case(image).bytes
    touched = stack.measured(image, bytes(range(8)))
    assert proven - 32 <= touched <= proven


@pytest.mark.emulated
def test_the_path_names_the_functions(tmp_path: Path) -> None:
    path = stack.worst_case(_deep("mps2_an385", tmp_path)).path
    assert path[:3] == ("tiny_run", "mcuq_affine", "__aeabi_uldivmod")


@pytest.mark.emulated
def test_a_leaf_uses_what_the_disassembly_says(tmp_path: Path) -> None:
    """tiny_run needs none and tail-calls mcuq_affine, which pushes r4 and lr."""
    image = build.compile_image(FILES, ENTRY, boards.load("mps2_an386"), tmp_path, "plain")
    assert (stack.measured(image), stack.worst_case(image).bytes) == (8, 8)


@pytest.mark.emulated
def test_a_call_through_a_pointer_is_found(tmp_path: Path) -> None:
    body = (
        "int8_t (*volatile f)(int8_t) = twice; for (int i = 0; i < length; i++) out[i] = f(in[i]);"
    )
    header = "#include <stdint.h>\nstatic int8_t twice(int8_t x) { return (int8_t)(2 * x); }"
    image = build.compile_image(
        with_kernel(body, header), ENTRY, boards.load("mps2_an386"), tmp_path, "plain"
    )
    with pytest.raises(ModelError, match="mcuq_affine: it calls through a pointer"):
        stack.worst_case(image)
