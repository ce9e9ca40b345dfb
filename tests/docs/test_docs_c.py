"""The documentation's C: every block is compiled with a folder that was really generated."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import c_programs
import numpy as np
import onnx
import onnx_models
import pytest
import torch
from torch import nn

import mcuq
from mcuq.config import Config

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```c\n(.*?)^```", re.MULTILINE | re.DOTALL)
WARNINGS = ("-Wall", "-Wextra", "-Werror")
COMPILERS = {
    "host": ("gcc", "-std=c99", "-O2"),
    "arm": ("arm-none-eabi-gcc", "-mcpu=cortex-m0", "-mthumb", "-std=c99", "-O2"),
}
FAST = Config(quantize={"effort": "fast"})


@dataclass(frozen=True)
class Frame:
    """How a block is compiled: with the folder of ``model``, behind ``before``.

    ``inside``: its statements stand in a function. ``config``: it is a header that the model's own
    files read. ``flags``: what the page says elsewhere. ``beside``: headers of others by name.
    """

    model: str
    before: str = ""
    inside: bool = False
    config: bool = False
    flags: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)


ARRAYS = """
static int8_t arena[KWS_ARENA_LEN] __attribute__((aligned(8)));
static int8_t input[KWS_IN_IMAGE_LEN] __attribute__((aligned(4)));
static int8_t output[KWS_OUT_LOGITS_LEN] __attribute__((aligned(4)));
static const uint32_t slot_length = KWS_WEIGHTS_LEN;
"""
FRAMES_OF_SOUND = """
static int8_t frame[KWS_IN_INPUT_LEN] __attribute__((aligned(4)));
static int8_t scores[KWS_OUT_RELU_1_LEN] __attribute__((aligned(4)));
"""
FOUND = """
static int8_t arena[FIND_ARENA_LEN] __attribute__((aligned(8)));
static int8_t image[FIND_IN_IMAGE_LEN] __attribute__((aligned(4)));
static int8_t boxes[FIND_OUT_BOXES_LEN] __attribute__((aligned(4)));
static int8_t scores[FIND_OUT_SCORES_LEN] __attribute__((aligned(4)));
static int16_t kept[FIND_OUT_KEPT_LEN] __attribute__((aligned(4)));
void use(int16_t class, const int8_t *box);
"""
MONOCYPHER = """
#include <stddef.h>
#include <stdint.h>
int crypto_ed25519_check(const uint8_t signature[64], const uint8_t public_key[32],
                         const uint8_t *message, size_t message_size);
"""
PINS = ("-DUART_HAS_A_BYTE=1", "-DUART_HAS_ROOM=1", "-DUART_DATA=(*(volatile uint8_t *)0x40004404)")
DESK = f"-I{ROOT / 'runtime_c' / 'harness'}"
ALIGNED = "-D__aligned(x)=__attribute__((aligned(x)))"
WHOLE = Frame("digits")
BLOCKS: dict[str, tuple[Frame, ...]] = {
    "board.md": (Frame("none", flags=(DESK,)), Frame("none", flags=(DESK, *PINS))),
    "detectors.md": (Frame("find", '#include "find.h"\n' + FOUND, inside=True),),
    "reference/c.md": (Frame("digits", inside=True), Frame("digits", config=True)),
    "time.md": (Frame("stream", '#include "kws.h"\n' + FRAMES_OF_SOUND, inside=True),),
    "weights.md": (
        Frame("blob", '#include "kws.h"\n' + ARRAYS, inside=True),
        Frame("blob", '#include "kws.h"', beside={"monocypher-ed25519.h": MONOCYPHER}),
        Frame("blob", config=True),
    ),
    "packages/cmake.md": (WHOLE,),
    "packages/cmsis-pack.md": (WHOLE,),
    "packages/cubeide.md": (
        Frame("example"),
        Frame("example", '#include "digits_example.h"', inside=True),
        WHOLE,
    ),
    "packages/esp-idf.md": (Frame("digits", "void app_main(void);"),),
    "packages/pico.md": (WHOLE,),
    "packages/platformio.md": (WHOLE,),
    "packages/zephyr.md": (Frame("digits", flags=(ALIGNED,)),),
    "README.md": (Frame("readme"),),
}
"""Every C block of every page, in its order."""


def page(name: str) -> str:
    return ((ROOT if name == "README.md" else DOCS) / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[str]:
    return BLOCK.findall(page(name))


def test_every_block_has_its_frame() -> None:
    pages = ["README.md", *(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))]
    found = {name: len(blocks(name)) for name in pages if blocks(name)}
    assert found == {name: len(frames) for name, frames in BLOCKS.items()}


def detector(folder: Path) -> Path:
    """A model with boxes and scores that ends in NonMaxSuppression."""
    nodes = [
        onnx_models.node("MatMul", "image w", "c"),
        onnx_models.node("Reshape", "c b", "boxes"),
        onnx_models.node("MatMul", "image v", "l"),
        onnx_models.node("Reshape", "l s", "scores"),
        onnx_models.node("NonMaxSuppression", "boxes scores m i t", "kept"),
    ]
    limits = {
        "m": np.array([4]),
        "i": np.array([0.4], np.float32),
        "t": np.array([0.5], np.float32),
    }
    weights = {"w": onnx_models.random(12, 80), "v": onnx_models.random(12, 60)}
    shapes = {"b": np.array([1, 20, 4]), "s": np.array([1, 3, 20])}
    proto = onnx_models.model(
        nodes, {**weights, **shapes, **limits}, {"image": (1, 12)}, "boxes scores kept"
    )
    proto.graph.output[2].type.tensor_type.elem_type = onnx.TensorProto.INT64
    return onnx_models.save(proto, folder, "find.onnx")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders that pages speak of."""
    place = tmp_path_factory.mktemp("models")
    rows = np.random.default_rng(0).uniform(0, 1, (40, 1, 8, 8)).astype(np.float32)
    digits = ROOT / "examples" / "digits.onnx"
    made = mcuq.compile(digits, calibration=rows, name="digits", board="microbit", config=FAST)
    apart = mcuq.compile(
        digits, calibration=rows, name="kws", board="microbit", config=FAST, weights=1
    )
    sound = nn.Sequential(nn.Conv1d(4, 8, 3), nn.ReLU(), nn.Conv1d(8, 3, 3), nn.ReLU())
    frames = torch.rand(20, 4, 12)
    heard = mcuq.compile(
        sound, frames[:1], frames, name="kws", board="microbit", config=FAST, stream="frames=2"
    )
    small = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    read = mcuq.compile(
        small, torch.from_numpy(rows[:1]), rows, name="digits", board="microbit", config=FAST
    )
    kept = mcuq.compile(
        detector(place), calibration=rows.reshape(-1, 64)[:, :12], board="microbit", config=FAST
    )
    found = {"find": kept, "digits": made, "blob": apart, "stream": heard, "readme": read}
    folders = {name: model.write(place / name) for name, model in found.items()}
    (place / "none").mkdir()
    made.export("cubeide", place / "cubeide")
    (example,) = (place / "cubeide").rglob("digits_example.h")
    return {**folders, "none": place / "none", "example": example.parent}


def source(block: str, frame: Frame) -> str:
    """The block as a file: statements get a function around them, behind what it includes."""
    if not frame.inside:
        return f"{frame.before}\n{block}"
    lines = block.splitlines()
    heads = [line for line in lines if line.startswith("#include")]
    body = "\n".join(line for line in lines if line not in heads)
    return "\n".join(
        [*heads, frame.before, "void shown(void);", "void shown(void)", "{", body, "}", ""]
    )


def sources(folder: Path) -> list[Path]:
    """The C files of a compiled folder."""
    return [*folder.glob("*.c"), *(folder / "kernels").glob("*.c")]


def compiled(command: Sequence[object], files: Sequence[Path], place: Path) -> list[Path]:
    made = []
    for number, path in enumerate(files):
        made.append(place / f"{number}_{path.stem}.o")
        c_programs.run([*map(str, command), "-c", path, "-o", made[-1]], place)
    return made


CASES = [(name, number) for name, frames in BLOCKS.items() for number in range(len(frames))]


@pytest.mark.parametrize("target", COMPILERS)
@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_block_compiles_and_a_program_runs(
    name: str, number: int, target: str, models: dict[str, Path], tmp_path: Path
) -> None:
    block, frame = blocks(name)[number], BLOCKS[name][number]
    folder = models[frame.model]
    command = [*COMPILERS[target], *WARNINGS, *frame.flags, f"-I{folder}", f"-I{folder}/kernels"]
    command += [f"-I{c_programs.write(frame.beside, tmp_path)}"]
    if frame.config:
        (tmp_path / "my_config.h").write_text(block)
        configured = [*command, '-DMCUQ_CONFIG="my_config.h"']
        assert compiled(configured, sources(folder), tmp_path)
        return
    (tmp_path / "shown.c").write_text(source(block, frame))
    objects = compiled(command, [tmp_path / "shown.c"], tmp_path)
    if "int main(void)" in block and target == "host":
        objects += compiled(command, sources(folder), tmp_path)
        c_programs.run(["gcc", *objects, "-o", tmp_path / "shown", "-lm"], tmp_path)
        c_programs.run([tmp_path / "shown"], tmp_path)
