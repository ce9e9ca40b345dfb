"""Two compiled models side by side in one program: both exact, equal kernels shared, all else
apart; made by two versions of mcuq, too.
"""

from __future__ import annotations

import functools
import re
import shutil
import tempfile
from pathlib import Path

import c_programs
import onnx_models
import pytest
import random_networks

from mcuq.config import Config
from mcuq.emit.c_text import fill
from mcuq.emulate import qemu
from mcuq.files import assets
from mcuq.firmware import elf
from mcuq.firmware import image as build
from mcuq.firmware.harness import Vector
from mcuq.flows.compile import compile_model
from mcuq.measure import selftest
from mcuq.model.compiled import Compiled, generate
from mcuq.targets import boards
from mcuq.version import __version__

SEEDS = {"first": 4, "second": 13}
CORES = ("mps2_an385_m0", "mps2_an386", "mps3_an547", "riscv32_virt")


@functools.cache
def compiled(name: str) -> Compiled:
    proto = random_networks.model(SEEDS[name])
    with tempfile.TemporaryDirectory() as folder:
        path = onnx_models.save(proto, Path(folder), f"{name}.onnx")
        rows = random_networks.inputs(0, proto)
        return compile_model(path, calibration=rows, config=Config(quantize={"effort": "fast"}))


def on(name: str) -> list[Compiled]:
    return [generate(compiled(model).bundle, boards.load(name)) for model in SEEDS]


def of_another_version(
    model: Compiled, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str | None = None
) -> Compiled:
    """``model`` as a mcuq writes it in which all parameter structs begin with one more member."""
    runtime = folder / "runtime_c"
    shutil.copytree(assets.runtime_c(), runtime)
    params = re.compile(r"typedef struct \{(?=[^}]*\} mcuq_\w+_params;)")
    for header in (runtime / "include").rglob("*.h"):
        header.write_text(params.sub(r"\g<0> int32_t more;", header.read_text()))
    own = assets.folder
    with monkeypatch.context() as patch:
        patch.setattr(assets, "folder", lambda n: runtime if n == "runtime_c" else own(n))
        patch.setattr(assets, "kernel_files", assets.kernel_files.__wrapped__)  # it remembers
        return generate(model.bundle, boards.load(name) if name else None)


def main_source(models: list[Compiled]) -> str:
    """The models in turn on each of their vectors, in each of two arenas; 1 if an output is wrong.

    Both arenas keep what the other model left there.
    """
    arena = max(model.entry.arena for model in models)
    text = ["#include <string.h>", *(f'#include "{m.entry.id}.h"' for m in models)]
    text += [f"static int8_t arenas[2][{arena}] __attribute__((aligned(16)));", "int main(void);"]
    answers = [selftest.known_answers(model) for model in models]
    for model, vectors in zip(models, answers, strict=True):
        for number, vector in enumerate(vectors):
            text += _arrays(f"{model.entry.id}_{number}", vector)
    text += ["int main(void)", "{", "    int wrong = 0;"]
    for number in range(len(answers[0])):
        for which in (0, 1):
            for model, vectors in zip(models, answers, strict=True):
                text += _run(model, f"{model.entry.id}_{number}", vectors[number], which)
    return "\n".join([*text, "    return wrong;", "}", ""])


def _arrays(name: str, vector: Vector) -> list[str]:
    text = []
    for side, parts in (("given", vector.inputs), ("right", vector.outputs)):
        for index, data in enumerate(parts):
            rows = "\n".join(fill(f"{byte}," for byte in data))
            aligned = "__attribute__((aligned(4)))"
            text.append(f"static const uint8_t {name}_{side}_{index}[] {aligned} = {{\n{rows}\n}};")
    return text


def _run(model: Compiled, name: str, vector: Vector, arena: int) -> list[str]:
    sizes = [len(data) for data in vector.outputs]
    outputs = [f"out_{index}" for index in range(len(sizes))]
    given = [f"(const void *){name}_given_{index}" for index in range(len(vector.inputs))]
    arguments = ", ".join([f"arenas[{arena}]", *given, *(f"(void *){o}" for o in outputs)])
    buffers = [f"static uint32_t {o}[{s // 4 + 1}];" for o, s in zip(outputs, sizes, strict=True)]
    tests = [f"wrong |= memcmp({o}, {name}_right_{i}, {sizes[i]}) != 0;"
             for i, o in enumerate(outputs)]  # fmt: skip
    return ["    {", *buffers, f"{model.entry.id}_run({arguments});", *tests, "    }"]


def merged(models: list[Compiled]) -> dict[str, str]:
    """The C of both; a kernel that both use is the same file."""
    files: dict[str, str] = {}
    for model in models:
        for name, text in model.files.items():
            if name.endswith((".c", ".h")):
                assert files.get(name, text) == text
                files[name] = text
    return files


@pytest.mark.emulated
@pytest.mark.parametrize("name", CORES)
def test_both_are_exact_in_one_image(name: str, tmp_path: Path) -> None:
    models = on(name)
    files = merged(models)
    shared = [set(c_programs.sources(m.files)) for m in models]
    assert shared[0] & shared[1], "the networks share no kernel"
    extra = {"main.c": main_source(models)}
    board = boards.load(name)
    image = build.compile_image(files, models[0].entry, board, tmp_path, "custom", extra=extra)
    qemu.execute(image, tmp_path)
    functions = [symbol.name for symbol in elf.read(image.elf).functions()]
    assert {"first_run", "second_run"} <= set(functions)
    kernels = [f for f in functions if re.fullmatch(r"mcuq_\w+_s8(_\w+)?", f)]
    assert len(kernels) == len(set(kernels))


@pytest.mark.emulated
def test_a_wrong_output_is_noticed(tmp_path: Path) -> None:
    models = on("mps2_an386")
    main = main_source(models)
    place = main.index("second_0_right_0[]")
    digit = re.compile(r"\{\n(\d+)").search(main, place)
    assert digit is not None
    main = f"{main[: digit.start(1)]}{int(digit[1]) ^ 1}{main[digit.end(1) :]}"
    image = build.compile_image(
        merged(models), models[0].entry, boards.load("mps2_an386"), tmp_path, "custom",
        extra={"main.c": main},
    )  # fmt: skip
    with pytest.raises(qemu.toolchain.CallFailed) as failed:
        qemu.execute(image, tmp_path)
    assert failed.value.code == 1


@pytest.mark.slow
def test_both_are_exact_from_two_static_libraries(tmp_path: Path) -> None:
    models = [compiled(name) for name in SEEDS]
    libraries = []
    for model in models:
        folder = c_programs.write(model.files, tmp_path / model.entry.id)
        c_programs.run(["make", "-s"], folder)
        libraries.append(folder / "build" / f"lib{model.entry.id}.a")
    (tmp_path / "main.c").write_text(main_source(models))
    includes = [f"-I{model.entry.id}" for model in models]
    c_programs.run(["gcc", "-O1", *includes, "main.c", *libraries, "-o", "both"], tmp_path)
    c_programs.run([tmp_path / "both"], tmp_path)


def in_folders(models: list[Compiled], folder: Path) -> list[Path]:
    return [c_programs.write(model.files, folder / model.entry.id) for model in models]


def libraries(folders: list[Path]) -> list[Path]:
    for folder in folders:
        c_programs.run(["make", "-s"], folder)
    return [folder / "build" / f"lib{folder.name}.a" for folder in folders]


@pytest.mark.slow
def test_two_versions_are_exact_from_two_static_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever library the linker reads first."""
    first, second = (compiled(name) for name in SEEDS)
    models = [first, of_another_version(second, tmp_path, monkeypatch)]
    made = libraries(in_folders(models, tmp_path))
    (tmp_path / "main.c").write_text(main_source(models))
    for order in (made, made[::-1]):
        c_programs.run(["gcc", "-O1", "-Ifirst", "-Isecond", "main.c", *order, "-o", "t"], tmp_path)
        c_programs.run([tmp_path / "t"], tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize("name", CORES)
def test_two_versions_are_exact_in_one_image(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both folders whole in one project, with one list of folders to include from."""
    first, second = on(name)
    models = [first, of_another_version(second, tmp_path, monkeypatch, name)]
    files = {f"{m.entry.id}/{path}": text for m in models for path, text in m.files.items()}
    files |= {"first.h": first.files["first.h"], "second.h": models[1].files["second.h"]}
    extra = {"main.c": main_source(models)}
    board = boards.load(name)
    image = build.compile_image(files, first.entry, board, tmp_path, "custom", extra=extra)
    qemu.execute(image, tmp_path)


def test_equal_kernels_have_one_symbol_and_different_ones_have_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (compiled(name) for name in SEEDS)
    other = of_another_version(second, tmp_path, monkeypatch)

    def symbols(model: Compiled) -> dict[str, str]:
        text = model.files[f"{model.entry.id}.c"]
        return dict(re.findall(r"^#define (mcuq_\w+) (mcuq_\w+_[0-9a-f]{8})$", text, re.M))

    both = set(symbols(first)) & set(symbols(second))
    assert both
    assert all(symbols(first)[kernel] == symbols(second)[kernel] for kernel in both)
    assert all(symbols(first)[kernel] != symbols(other)[kernel] for kernel in both)
    assert other.files["second.h"] == second.files["second.h"]


def test_a_folder_with_another_versions_headers_does_not_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = compiled("second")
    other = of_another_version(second, tmp_path, monkeypatch)
    headers = [name for name, text in other.files.items()
               if name.startswith("kernels/") and name.endswith(".h")
               and text != second.files[name]]  # fmt: skip
    assert headers
    for name in headers:
        files = {**second.files, name: other.files[name]}
        folder = c_programs.write(files, tmp_path / Path(name).stem)
        with pytest.raises(AssertionError, match=f"{Path(name).name} is of another version of mcu"):
            c_programs.run(["make", "-s"], folder)


def test_the_header_names_its_version_and_its_model() -> None:
    model = compiled("first")
    header = model.files["first.h"]
    assert f'#define FIRST_MCUQ_VERSION "{__version__}"\n' in header
    assert f'#define FIRST_MODEL_SHA256 "{model.bundle.digest}"\n' in header
    assert re.fullmatch("[0-9a-f]{64}", model.bundle.digest)
