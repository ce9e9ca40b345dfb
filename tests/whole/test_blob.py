"""Weights apart from code: the same numbers and speed, updates, and everything that is refused."""

from __future__ import annotations

import functools
import struct
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_models
import pytest

from mcuq.config import Config
from mcuq.emit import blob as blobs
from mcuq.emit.c_text import fill
from mcuq.emulate import count, qemu
from mcuq.errors import McuqError
from mcuq.firmware import image as build
from mcuq.firmware import toolchain
from mcuq.flows.compile import compile_model
from mcuq.flows.export import export
from mcuq.flows.retarget import retarget
from mcuq.measure import check
from mcuq.model.compiled import Compiled, generate, generate_for, load_compiled
from mcuq.reference import run_int
from mcuq.targets import boards

ROOT = Path(__file__).parents[2]
M4 = boards.load("mps2_an386")
CORES = ("mps2_an385_m0", "mps2_an386", "mps3_an547", "riscv32_virt")
ERRORS = {
    name: -number - 1
    for number, name in enumerate(
        "NONE MISALIGNED CUT NO_BLOB OTHER_FORMAT OTHER_MODEL OTHER_CODE DAMAGED".split()
    )
}


def network(change: float, offset: float = 0.0) -> onnx.ModelProto:
    """A convolution, a depthwise one, a sum and a dense layer; weights changed by ``change``."""
    nodes = [
        onnx_models.node("Conv", "x w", "a", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        onnx_models.node("Relu", "a", "r"),
        onnx_models.node("Conv", "r d", "b", kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=8),
        onnx_models.node("Add", "b r", "s"),
        onnx_models.node("Flatten", "s", "f"),
        onnx_models.node("Gemm", "f m c", "y"),
    ]
    chance = np.random.default_rng(5)
    weights = {
        "w": onnx_models.random(8, 4, 3, 3),
        "d": onnx_models.random(8, 1, 3, 3),
        "m": onnx_models.random(8 * 6 * 5, 10),
        "c": onnx_models.random(10),
    }
    changed = {
        name: (value * (1 + change * chance.normal(0, 1, value.shape)) + offset).astype(np.float32)
        for name, value in weights.items()
    }
    return onnx_models.model(nodes, changed)


@functools.cache
def compiled(version: int, change: float = 0.0, offset: float = 0.0, name: str = "net") -> Compiled:
    """Weights of this version: apart from the code; 0: in it."""
    rows = onnx_models.random(16, 4, 6, 5)
    with tempfile.TemporaryDirectory() as folder:
        return compile_model(
            onnx_models.save(network(change, offset), Path(folder), f"{name}.onnx"),
            calibration=rows,
            board=M4,
            config=Config(quantize={"effort": "fast"}),
            weights=version or None,
        )


def blob(version: int, change: float = 0.0, offset: float = 0.0, name: str = "net") -> bytes:
    made = compiled(version, change, offset, name).blob
    assert made is not None
    return made


def array(name: str, data: bytes) -> str:
    rows = "\n".join(fill(f"{byte}," for byte in data))
    return f"static uint8_t {name}[] __attribute__((aligned(16))) = {{\n{rows}\n}};\n"


SANITIZE = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def program(made: Compiled, main: str, folder: Path, *options: str) -> list[int]:
    """What a main program around the model's C prints: whole numbers."""
    for name, text in {**made.files, "main.c": main}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    sources = [name for name in made.files if name.endswith(".c")]
    command = ["gcc", "-std=c99", "-I.", *options, *sources, "main.c", "-o", "program"]
    toolchain.call(command, 120, folder)
    return [int(word) for word in toolchain.call([folder / "program"], 120).split()]


@pytest.mark.emulated
@pytest.mark.parametrize("name", CORES)
def test_the_numbers_are_those_of_weights_in_the_code(name: str) -> None:
    board = boards.load(name)
    made = generate(compiled(1).bundle, board)
    assert all(verdict.exact for verdict in check.check(made, [board], 4))


@pytest.mark.emulated
def test_they_take_less_than_a_percent_more(tmp_path: Path) -> None:
    found, sizes = [], []
    for version in (0, 1):
        made = compiled(version)
        image = build.compile_image(made.files, made.entry, M4, tmp_path / str(version), "plain")
        found.append(count.count_total(image))
        assert image.sizes is not None
        sizes.append(image.sizes.flash)
    assert found[0] < found[1] <= 1.01 * found[0]
    assert abs(sizes[1] - sizes[0]) < 2048


@pytest.mark.parametrize("change", [0.02, 0.2])
def test_the_weights_of_a_retrained_network_run_in_the_old_code(
    change: float, tmp_path: Path
) -> None:
    """Other scales and zeros, too: all numbers lie in the blob."""
    new = compiled(2, change)
    old = replace(compiled(1), blob=new.blob)
    assert new.blob is not None
    assert new.blob[16:32] == blob(1)[16:32]
    assert compiled(0, change).files["net.c"] != compiled(0).files["net.c"]
    wanted = check.expected_of(new, 4, 0)
    host = build.compile_host(old.files, old.entry, tmp_path)
    trace = qemu.run_trace(host, wanted.data, old.entry)
    verdict = check.compare(new, "host", "host", trace, wanted.values)
    assert verdict.exact


MUTATIONS = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net.h"
/* Counts of each error from 0 to 8 that opening gives, for every bit and for every length. */
static void *copy(uint32_t bytes)
{
    void *made = NULL;
    if (posix_memalign(&made, 16, bytes ? bytes : 1) != 0) exit(9);
    memcpy(made, good, bytes);
    return made;
}
int main(void)
{
    int counts[2][9] = {{0}};
    uint8_t *whole = copy(sizeof good);
    for (uint32_t bit = 0; bit < BITS * sizeof good; bit++) {
        whole[bit / 8] ^= (uint8_t)(1U << bit % 8);
        const int32_t found = net_open(whole, sizeof good);
        counts[0][found > 0 ? 0 : -found]++;
        whole[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (uint32_t bytes = 0; bytes < sizeof good; bytes++) {
        void *cut = copy(bytes); /* the sanitizer sees a read behind it */
        const int32_t found = net_open(cut, bytes);
        counts[1][found > 0 ? 0 : -found]++;
        free(cut);
    }
    for (int i = 0; i < 18; i++) printf("%d ", counts[i / 9][i % 9]);
    printf("%d %d ", (int)net_open(whole, sizeof good), (int)net_open(NULL, sizeof good));
    printf("%d ", (int)net_open(whole + 4, sizeof good - 4));
    for (int i = 0; i < OTHERS; i++) printf("%d ", (int)net_open(others[i], lengths[i]));
    free(whole);
    return 0;
}
"""


def sealed(changed: bytearray) -> bytes:
    """With the CRC that belongs to it."""
    struct.pack_into("<I", changed, 12, 0)
    struct.pack_into("<I", changed, 12, zlib.crc32(changed))
    return bytes(changed)


def with_word(at: int, value: int) -> bytes:
    changed = bytearray(blob(1))
    struct.pack_into("<I", changed, at, value)
    return sealed(changed)


def others() -> dict[str, tuple[bytes, int]]:
    """Blobs by what they are, and what opening them gives."""
    whole = blob(1)
    return {
        "the next version": (blob(2, 0.02), 2),
        "bytes behind it": (whole + bytes(100), 1),
        "another model": (blob(1, name="other"), ERRORS["OTHER_MODEL"]),
        "other code": (generate(compiled(1).bundle, boards.load("mps3_an547")).blob or b"",
                       ERRORS["OTHER_CODE"]),
        "another format": (with_word(4, 2), ERRORS["OTHER_FORMAT"]),
        "a length of its own": (with_word(8, len(whole) + 16), ERRORS["DAMAGED"]),
        "a shorter length": (with_word(8, len(whole) - 16), ERRORS["DAMAGED"]),
        "a version below 0": (with_word(32, 1 << 31), ERRORS["DAMAGED"]),
        "zeros": (bytes(len(whole)), ERRORS["NO_BLOB"]),
        "erased flash": (b"\xff" * len(whole), ERRORS["NO_BLOB"]),
        "an ELF file": (b"\x7fELF" + whole[4:], ERRORS["NO_BLOB"]),
        "two halves swapped": (
            whole[:64] + whole[len(whole) // 2 :] + whole[64 : len(whole) // 2],
            ERRORS["DAMAGED"],
        ),
    }  # fmt: skip


def test_every_mutation_is_refused(tmp_path: Path) -> None:
    odd = others()
    arrays = [array(f"other_{i}", data) for i, (data, _) in enumerate(odd.values())]
    names = ", ".join(f"other_{i}" for i in range(len(odd)))
    sizes = ", ".join(f"sizeof other_{i}" for i in range(len(odd)))
    tables = f"enum {{ OTHERS = {len(odd)} }};\nstatic uint8_t *others[] = {{{names}}};\n"
    tables += f"static uint32_t lengths[] = {{{sizes}}};\n"
    head = "#define _POSIX_C_SOURCE 200112L\n#include <stdint.h>\n"
    main = "\n".join([head, array("good", blob(1)), *arrays, tables, MUTATIONS])
    bits = program(compiled(1), main, tmp_path, "-O2", "-DBITS=8")[:9]
    found = program(compiled(1), main, tmp_path, *SANITIZE, "-DBITS=0")
    lengths, rest = found[9:18], found[18:]
    size = len(blob(1))
    # Of the header: 4 bytes begin it, 4 are the format, 28 the name, 16 the code's digest.
    assert bits == [0, 0, 0, 0, 8 * 4, 8 * 4, 8 * 28, 8 * 16, 8 * (size - 52)]
    assert lengths == [0, 0, 0, size, 0, 0, 0, 0, 0]
    assert rest[:3] == [1, ERRORS["NONE"], ERRORS["MISALIGNED"]]
    assert dict(zip(odd, rest[3:], strict=True)) == {name: code for name, (_, code) in odd.items()}


STREAMED = """
#include <stdio.h>
#include "net.h"
static uint8_t window[NET_WEIGHTS_STEP_LEN] __attribute__((aligned(16)));
static uint32_t most;
const uint8_t *fetch(const void *blob, uint32_t offset, uint32_t bytes)
{
    most = bytes > most ? bytes : most;
    for (uint32_t i = 0; i < bytes; i++) window[i] = good[(uintptr_t)blob - 1000 + offset + i];
    return window;
}
static int8_t arena[NET_ARENA_LEN] __attribute__((aligned(16)));
int main(void)
{
    static int8_t x[NET_IN_X_LEN] __attribute__((aligned(4))), y[NET_OUT_Y_LEN];
    for (int i = 0; i < NET_IN_X_LEN; i++) x[i] = (int8_t)(i * 37);
    printf("%d ", (int)net_open((const void *)1000, sizeof good));
    net_run((const void *)1000, arena, x, y);
    for (int i = 0; i < NET_OUT_Y_LEN; i++) printf("%d ", y[i]);
    printf("%d", (int)(most == NET_WEIGHTS_STEP_LEN));
    return 0;
}
"""


def test_weights_are_streamed_from_where_nothing_addresses_them(tmp_path: Path) -> None:
    """The blob's "address" is 1000 of a flash that only the hook reads."""
    (tmp_path / "my_config.h").write_text(
        "const uint8_t *fetch(const void *blob, uint32_t offset, uint32_t bytes);\n"
        "#define MCUQ_WEIGHTS_READ(blob, offset, bytes) fetch(blob, offset, bytes)\n"
    )
    main = "\n".join(["#include <stdint.h>", array("good", blob(1)), STREAMED])
    found = program(compiled(1), main, tmp_path, *SANITIZE, '-DMCUQ_CONFIG="my_config.h"')
    graph = compiled(1).program.qgraph
    x = (np.arange(graph.tensors[graph.inputs[0].tensor].size) * 37).astype(np.int8)
    shape = graph.tensors[graph.inputs[0].tensor].shape
    right = run_int(graph, {graph.inputs[0].name: x.reshape(shape)})[graph.outputs[0].tensor]
    assert found == [1, *right.ravel().tolist(), 1]


@pytest.mark.emulated
@pytest.mark.parametrize("name", ["mps2_an386", "riscv32_virt"])
def test_two_slots_with_a_way_back(name: str, tmp_path: Path) -> None:
    board = boards.load(name)
    # The tables of some kernels of RISC-V are as long as the values ask for: other code.
    change = 0.02 if name == "mps2_an386" else 0.0
    first = generate(compiled(1, name="digits").bundle, board)
    second = generate(compiled(2, change, name="digits").bundle, board)
    assert first.blob is not None
    assert second.blob is not None
    weights = array("first_weights", first.blob) + array("second_weights", second.blob)
    extra = {
        "two_slots.c": (ROOT / "examples" / "two_slots.c").read_text(),
        "new_weights.h": f"#include <stdint.h>\n{weights}",
    }
    image = build.compile_image(first.files, first.entry, board, tmp_path, "custom", extra=extra)
    said = qemu.execute(image, tmp_path)
    assert said.count("as it should") == 7
    assert "WRONG" not in said


def test_the_folder_holds_the_weights(tmp_path: Path) -> None:
    made = compiled(3)
    made.write(tmp_path / "out")
    assert (tmp_path / "out" / "net_weights.bin").read_bytes() == made.blob
    again = load_compiled(tmp_path / "out")
    assert again.blob == made.blob
    assert again.files == made.files
    other = retarget(tmp_path / "out", "mps3_an547")
    assert other.blob is not None
    assert other.blob[32:36] == b"\3\0\0\0"
    assert "net_weights.h" not in made.files
    (tmp_path / "out" / "net_weights.bin").unlink()
    with pytest.raises(McuqError, match=r"lacks its file 'net_weights\.bin'"):
        load_compiled(tmp_path / "out")


def test_one_folder_for_several_cores_is_refused() -> None:
    several = [boards.load(name) for name in ("cortex-m4", "cortex-m55")]
    with pytest.raises(McuqError, match=r"--weights blob: is for one core, not for cortex-m55"):
        generate_for(compiled(1).bundle, several)


def test_packages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(McuqError, match="net: has its weights in a blob"):
        export(compiled(1), "cmake", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_number_of_a_struct_has_a_type() -> None:
    """A member of one of these names is one in all structs, and is cast to its type."""
    found = {
        (name, member): ctype
        for name, members in blobs._structs().items()
        for member, ctype in members.items()
        if member in blobs._NUMBERS
    }
    assert set(found.values()) <= {"int8_t", "int16_t", "int32_t", "uint8_t", "uint32_t"}
    assert {member for _, member in found} == blobs._NUMBERS
