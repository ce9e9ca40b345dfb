"""Mutated files of every kind, and what ``mcuq`` makes of them: always one clear line, or a result.

    python -m benchmarks.hostile [--count 20000] [--seed 0] [KIND ...]

A mutation is a function of its kind and seed alone, so that what is found can be repeated. The
command runs in this process; a traceback, a warning, several lines for one fault or an exit code
other than 0, 1 and 2 is a finding.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from benchmarks.made.tflite_writer import Net, Tensor, op, written
from benchmarks.mutations import (
    Chance,
    bytes_changed,
    facts_changed,
    json_changed,
    npy_changed,
    pick,
    proto_changed,
    tflite_changed,
    toml_changed,
    zip_changed,
)
from mcuq.__main__ import main
from mcuq.errors import LONGEST, MOST_LINES
from mcuq.targets import boards


@dataclass(frozen=True)
class Finding:
    """What went wrong with the mutation ``seed`` of ``kind``."""

    kind: str
    seed: int
    what: str
    detail: str


@dataclass(frozen=True)
class Outcome:
    """Of one command: its exit code, standard error, and the warnings that leaked."""

    code: int
    errors: str
    warned: tuple[str, ...]


def run(*argv: str) -> Outcome:
    """The command line ``argv``, in this process."""
    before, sys.argv = sys.argv, ["mcuq", *argv]
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always")
            try:
                main()
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        sys.argv = before
    return Outcome(code, err.getvalue(), tuple(str(w.message) for w in caught))


def fault(outcome: Outcome) -> str | None:
    """What is wrong with an outcome, if anything."""
    lines = outcome.errors.strip().splitlines()
    if outcome.code not in (0, 1, 2):
        return lines[-2][:160] if len(lines) > 1 else f"exit code {outcome.code}"
    if outcome.warned:
        return f"warning: {outcome.warned[0][:160]}"
    if any(word in outcome.errors for word in ("Traceback", "Warning:")):
        return "a traceback or a warning on standard error"
    if len(lines) > MOST_LINES + 8 or any(len(line) > 4 * LONGEST for line in lines):
        return "too many lines, or too long ones"
    if outcome.code == 1 and not lines:
        return "no reason given"
    return None


# What is changed, and the command that reads it.


@dataclass(frozen=True)
class Originals:
    """A small model in all its forms, in ``folder``."""

    folder: Path

    def bytes(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


CONFIG = """
[quantize]
ranges = "minmax"
effort = "fast"
seed = 1
bits = 8
fracs = { "y" = 4 }

[input.x]
kind = "u8"
mean = [0.5, 1.5]
std = [58.4, 57.1]
layout = "nhwc"

[compress]
sparse = 0.5
cluster = "4bit"
recover = 0
trust = 0.3
"""


def prepare(folder: Path) -> Originals:
    """Write the originals: models of every kind, data, a folder, a configuration, a board."""
    import torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(4, 4, 3, groups=4), torch.nn.Sigmoid(), torch.nn.Flatten(),
        torch.nn.Linear(16, 3), torch.nn.Softmax(-1),
    ).eval()  # fmt: skip
    example = torch.zeros(1, 2, 8, 8)
    (folder / "m.onnx").write_bytes(_model().SerializeToString())
    torch.export.save(torch.export.export(module, (example,)), folder / "m.pt2")
    chance = np.random.default_rng(0)
    rows = chance.normal(0, 1, (12, 2, 8, 8)).astype(np.float32)
    np.savez(folder / "d.npz", x=rows, y=chance.integers(0, 3, 12))
    (folder / "float.tflite").write_bytes(_small_tflite(integers=False))
    (folder / "int8.tflite").write_bytes(_small_tflite(integers=True))
    (folder / "c.toml").write_text(CONFIG)
    shutil.copy(boards.assets.boards() / "riscv32_virt.toml", folder / "b.toml")
    text = (folder / "b.toml").read_text().replace('name = "riscv32_virt"', 'name = "b"')
    (folder / "b.toml").write_text(text)
    made = run(
        "compile", str(folder / "m.onnx"), "--calib", str(folder / "d.npz"), "--effort", "fast",
        "--board", "nucleo_f446re", "-o", str(folder / "out"),
    )  # fmt: skip
    if made.code:
        raise RuntimeError(made.errors)
    return Originals(folder)


def _model() -> onnx.ModelProto:
    """A network with many operators."""
    chance = np.random.default_rng(1)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        return onnx.numpy_helper.from_array(chance.normal(0, 0.3, shape).astype(np.float32), name)

    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], "conv1", pads=[1, 1, 1, 1], strides=[1, 1]),
        node("Relu", ["c1"], ["r1"], "relu1"),
        node("MaxPool", ["r1"], ["p1"], "pool1", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p1", "w2"], ["c2"], "conv2", group=4, pads=[1, 1, 1, 1]),
        node("Sigmoid", ["c2"], ["s2"], "gate"),
        node("Mul", ["s2", "p1"], ["m2"], "mul"),
        node("Add", ["m2", "p1"], ["a2"], "add"),
        node("Pad", ["a2", "pads"], ["q2"], "pad"),
        node("AveragePool", ["q2"], ["v2"], "average", kernel_shape=[2, 2], strides=[2, 2]),
        node("Concat", ["v2", "v2"], ["k2"], "concat", axis=1),
        node("Transpose", ["k2"], ["t2"], "turn", perm=[0, 2, 3, 1]),
        node("Reshape", ["t2", "shape"], ["f"], "flat"),
        node("Gemm", ["f", "w3", "b3"], ["g"], "gemm", transB=1),
        node("Softmax", ["g"], ["y"], "softmax", axis=-1),
    ]
    constants = [
        weights("w1", 4, 2, 3, 3), weights("b1", 4), weights("w2", 4, 1, 3, 3),
        weights("w3", 3, 72), weights("b3", 3),
        onnx.numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), "pads"),
        onnx.numpy_helper.from_array(np.array([1, -1], np.int64), "shape"),
    ]  # fmt: skip
    value = onnx.helper.make_tensor_value_info
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes, "net", [value("x", kind, ["N", 2, 8, 8])], [value("y", kind, ["N", 3])], constants
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])


def _model_file(originals: Originals, chance: Chance, work: Path) -> list[str]:
    (work / "m.onnx").write_bytes(proto_changed(originals.bytes("m.onnx"), chance))
    return ["inspect", str(work / "m.onnx")]


def _tflite(originals: Originals, chance: Chance, work: Path) -> list[str]:
    name = pick(chance, ("float.tflite", "int8.tflite"))
    (work / name).write_bytes(tflite_changed(originals.bytes(name), chance))
    return ["inspect", str(work / name)]


def _small_tflite(integers: bool) -> bytes:
    """A network with sparse weights, views, a signature and a variable, or one of int8."""
    chance = np.random.default_rng(2)

    def tensor(*shape: int, scale: float = 0.05) -> Tensor:
        if integers:
            return Tensor(shape, "int8", None, (scale,), (3,))
        return Tensor(shape)

    def weights(*shape: int) -> Tensor:
        whole = chance.integers(-127, 128, shape).astype(np.int8)
        if integers:
            return Tensor(shape, "int8", whole, (0.01,) * shape[0], (0,) * shape[0])
        return Tensor(shape, "float32", (whole / 127).astype(np.float32))

    operators = (
        op("CONV_2D", "x w -", "c", "Conv2D", Padding=0, StrideH=2, StrideW=1,
           FusedActivationFunction=1),
        op("MAX_POOL_2D", "c", "m", "Pool2D", Padding=1, StrideH=1, StrideW=1, FilterHeight=2,
           FilterWidth=2),
        op("STRIDED_SLICE", "m b e s", "t", "StridedSlice", ShrinkAxisMask=2),
        op("RESHAPE", "t n", "f", "Reshape", NewShape=[1, 9]),
        op("DENSIFY", "v", "d", "Densify"),
        op("FULLY_CONNECTED", "f d -", "g", "FullyConnected"),
        op("SOFTMAX", "g", "y", "Softmax", Beta=1.0),
    )  # fmt: skip
    sparse = ([0, 1], [], [5, ([0, 1, 2, 3, 4, 5], [0, 3, 5, 7, 8])])
    dense = weights(5, 9)
    stored = replace(dense, data=weights(5, 1).data, sparse=sparse)
    tensors = {
        "x": tensor(1, 6, 4, 2), "w": weights(3, 3, 3, 2), "c": tensor(1, 3, 4, 3),
        "m": tensor(1, 2, 3, 3), "b": _whole(0, 0, 0, 0), "e": _whole(1, 1, 4, 3),
        "s": _whole(1, 1, 1, 1), "t": tensor(1, 3, 3), "n": _whole(1, 9), "f": tensor(1, 9),
        "v": stored, "d": replace(dense, data=None), "g": tensor(1, 5),
        "y": tensor(1, 5, scale=1 / 256),
    }  # fmt: skip
    return written(Net(operators, tensors, ("x",), ("y",), (), ({"image": "x"}, {"scores": "y"})))


def _whole(*values: int) -> Tensor:
    return Tensor((len(values),), "int32", np.array(values, np.int32))


def _archive(originals: Originals, chance: Chance, work: Path) -> list[str]:
    changes = {".json": json_changed, "weight_0": bytes_changed, "weight_2": bytes_changed}
    (work / "m.pt2").write_bytes(zip_changed(originals.bytes("m.pt2"), chance, changes))
    return ["inspect", str(work / "m.pt2")]


def _bundle(originals: Originals, chance: Chance, work: Path) -> list[str]:
    changes = {"facts.npy": facts_changed, ".npy": npy_changed}
    if chance.random() < 0.7:
        changes = {"facts.npy": facts_changed}
    content = zip_changed(originals.bytes("out/mcuq_model.npz"), chance, changes)
    folder = _copied(originals, work)
    (folder / "mcuq_model.npz").write_bytes(content)
    data = str(originals.folder / "d.npz")
    choices = (
        ["run", str(folder), "--input", data, "-o", str(work / "o.txt")],
        ["run", str(folder), "--input", data, "-o", str(work / "o.txt")],
        ["eval", str(folder), "--data", data],
        ["explain", str(folder)],
    )
    return list(pick(chance, choices))


def _report(originals: Originals, chance: Chance, work: Path) -> list[str]:
    folder = _copied(originals, work)
    text = (folder / "report.json").read_bytes()
    deep = b"[" * 100000
    content = deep if chance.random() < 0.02 else json_changed(text, chance)
    (folder / "report.json").write_bytes(content)
    if chance.random() < 0.1:
        return ["explain", str(folder)]
    data = str(originals.folder / "d.npz")
    return ["run", str(folder), "--input", data, "-o", str(work / "o.txt")]


def _folder(originals: Originals, chance: Chance, work: Path) -> list[str]:
    """The list of files changed, or a file missing, empty, or a folder."""
    folder = _copied(originals, work)
    victim = folder / pick(chance, sorted(p.name for p in folder.iterdir() if p.is_file()))
    match int(chance.integers(5)):
        case 0:
            victim.unlink()
        case 1:
            victim.write_bytes(b"")
        case 2:
            victim.unlink()
            victim.mkdir()
        case 3:
            victim.write_bytes(bytes_changed(victim.read_bytes(), chance))
        case _:
            line = pick(chance, ("../x", "/etc/passwd", "a\0b", "n" * 300, "\udcff", ".", "", "x/"))
            content = (folder / ".mcuq-files").read_bytes()
            (folder / ".mcuq-files").write_bytes(
                content + line.encode("utf-8", "surrogateescape") + b"\n"
            )
    data = str(originals.folder / "d.npz")
    return ["run", str(folder), "--input", data, "-o", str(work / "o.txt")]


def _config(originals: Originals, chance: Chance, work: Path) -> list[str]:
    (work / "c.toml").write_bytes(toml_changed(originals.bytes("c.toml"), chance))
    model, data = str(originals.folder / "m.onnx"), str(originals.folder / "bytes.npz")
    rows = np.random.default_rng(0).integers(0, 256, (8, 2, 8, 8)).astype(np.uint8)
    if not Path(data).exists():
        np.savez(data, x=rows)
    return ["compile", model, "--calib", data, "--config", str(work / "c.toml"),
            "-o", str(work / "out")]  # fmt: skip


def _board(originals: Originals, chance: Chance, work: Path) -> list[str]:
    (work / "b.toml").write_bytes(toml_changed(originals.bytes("b.toml"), chance))
    return ["boards", str(work / "b.toml")]


def _data(originals: Originals, chance: Chance, work: Path) -> list[str]:
    content = zip_changed(originals.bytes("d.npz"), chance, {".npy": npy_changed})
    (work / "d.npz").write_bytes(content)
    return ["eval", str(originals.folder / "out"), "--data", str(work / "d.npz")]


def _copied(originals: Originals, work: Path) -> Path:
    return Path(shutil.copytree(originals.folder / "out", work / "out"))


KINDS: dict[str, tuple[Callable[[Originals, Chance, Path], list[str]], int]] = {
    "model": (_model_file, 24),
    "tflite": (_tflite, 10),
    "pt2": (_archive, 4),
    "bundle": (_bundle, 26),
    "report": (_report, 8),
    "folder": (_folder, 6),
    "config": (_config, 6),
    "board": (_board, 10),
    "data": (_data, 6),
}
"""How each kind is changed, and its share of all mutations in percent."""


def attempt(originals: Originals, kind: str, seed: int) -> Finding | None:
    """What is wrong with how mutation ``seed`` of ``kind`` ends, if anything."""
    chance = np.random.default_rng([seed, *kind.encode()])
    with tempfile.TemporaryDirectory(prefix="mcuq-hostile-") as name:
        outcome = run(*KINDS[kind][0](originals, chance, Path(name)))
    what = fault(outcome)
    return Finding(kind, seed, what, outcome.errors) if what else None


def counts(total: int, kinds: list[str]) -> dict[str, int]:
    whole = sum(KINDS[kind][1] for kind in kinds)
    return {kind: max(1, total * KINDS[kind][1] // whole) for kind in kinds}


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    found: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory(prefix="mcuq-hostile-") as name:
        originals = prepare(Path(name))
        for kind, count in counts(given.count, given.kinds).items():
            start = time.monotonic()
            for seed in range(given.seed, given.seed + count):
                finding = functools.partial(attempt, originals, kind, seed)()
                if finding and (given.verbose or not found[kind, finding.what]):
                    print(f"{kind} {seed}: {finding.what}\n{finding.detail[-1500:]}", flush=True)
                if finding:
                    found[kind, finding.what] += 1
            bad = sum(n for (k, _), n in found.items() if k == kind)
            print(f"{kind}: {count} mutations, {bad} findings, {time.monotonic() - start:.0f} s",
                  flush=True)  # fmt: skip
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    _main()
