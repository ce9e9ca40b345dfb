"""Files from others: whatever is in them, the end is a result or one clear line."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx_models import agrees, model, node, random, save

from benchmarks import hostile
from benchmarks.hostile import Originals
from mcuq import importers
from mcuq.errors import LONGEST, BoardError, DataError, ManyErrors, McuqError
from mcuq.model import bundle
from mcuq.model.compiled import load_compiled
from mcuq.ops import validate
from mcuq.quantize import Options, quantize
from mcuq.targets import boards

# Of each kind so many mutations; benchmarks/hostile.py makes thousands.
SAMPLE = {
    "model": 150, "bundle": 60, "report": 12, "folder": 12, "config": 20, "board": 60, "data": 25,
    "pt2": 4, "tflite": 150,
}  # fmt: skip

# Mutations that once ended in a traceback or a warning.
FOUND = {"bundle": (5166,), "data": (194, 371)}


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Originals:
    return hostile.prepare(tmp_path_factory.mktemp("originals"))


@pytest.mark.parametrize("kind", SAMPLE)
def test_a_sample_of_mutations(kind: str, originals: Originals) -> None:
    seeds = (*range(SAMPLE[kind]), *FOUND.get(kind, ()))
    found = [hostile.attempt(originals, kind, seed) for seed in seeds]
    assert [finding for finding in found if finding] == []


def test_every_kind_is_sampled_and_untouched_files_are_read(originals: Originals) -> None:
    assert set(SAMPLE) == set(hostile.KINDS)
    data, folder = str(originals.folder / "d.npz"), str(originals.folder / "out")
    for argv in (
        ("inspect", str(originals.folder / "m.onnx")),
        ("inspect", str(originals.folder / "float.tflite")),
        ("inspect", str(originals.folder / "int8.tflite")),
        ("boards", str(originals.folder / "b.toml")),
        ("eval", folder, "--data", data),
        ("explain", folder),
    ):
        assert hostile.run(*argv).code == 0


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (node("Slice", "x a a c", "s"), "takes nothing"),
        (node("MaxPool", "x", "s", kernel_shape=[9, 9]), "window"),
    ],
)
def test_a_slice_of_what_has_no_size(first: Any, reason: str, tmp_path: Path) -> None:
    """For which onnx's shape inference ends the process."""
    constants = {"a": np.array([0]), "b": np.array([-9]), "c": np.array([3]), "m": np.array([-1])}
    path = save(model([first, node("Slice", "s m b c m", "y")], constants), tmp_path)
    (error, *_) = importers.problems_of(path)
    assert reason in str(error)


# The bundle.


def changed(folder: Path, work: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of ``folder`` whose bundle holds the facts that ``change`` has edited."""
    copy = Path(shutil.copytree(folder, work / "out"))
    with np.load(copy / bundle.FILE) as stored:
        arrays = dict(stored)
    facts = json.loads(arrays["facts"].tobytes())
    change(facts)
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    with (copy / bundle.FILE).open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    return copy


def _nodes(op: str, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(facts: dict[str, Any]) -> None:
        found = next(n for n in facts["qgraph"]["nodes"] if n[0] == op)
        assert key in found[4]
        found[4][key] = value

    return change


def _set(*path: Any) -> Callable[[dict[str, Any]], None]:
    *keys, last, value = path

    def change(facts: dict[str, Any]) -> None:
        item: Any = facts
        for key in keys:
            item = item[key]
        item[last] = value

    return change


BUNDLES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "format": (_set("format", 1), "format 1"),
    "unknown key": (_set("more", 1), "key is 'more', not one of format"),
    "no graph": (_set("graph", None), "graph is nothing, not a table"),
    "name": (_set("id", "../x"), "--name ../x: not usable"),
    "operator": (_set("qgraph", "nodes", 0, 0, "system"), "there is no operator 'system' here"),
    "attribute": (_nodes("dense", "shift", [99] * 3), r"shift[0] is 99, not an integer in 0..31"),
    "shift": (_nodes("dense", "shift", [1, 2, 3]), "shift is not frac_w + frac_x - frac_y"),
    "range": (_nodes("dense", "out_max", -129), "out_min and out_max are no range in -128..127"),
    "pad": (_nodes("conv2d", "pad_value", 300), "pad_value is not in -128..127"),
    "strides": (
        _nodes("conv2d", "strides", [2, 2]),
        "its output is (1, 8, 8, 4), not (1, 4, 4, 4)",
    ),
    "infinite stride": (_nodes("conv2d", "strides", [0, 1]), "strides[0] is 0, not an integer"),
    "softmax": (_nodes("softmax", "scale", 3.0), "its table is not that of its input's scale"),
    "zero": (_set("qgraph", "tensors", 0, 5, 999), "has the zero 999, not one in -128..127"),
    "board": (_set("board", "cpu", "z80"), "board: cpu 'z80' is unknown"),
    "flag": (_set("board", "flags", ["-mcpu=cortex-m4", "-wrapper"]), "flag '-wrapper' is not one"),
    "no toolchain": (lambda f: f["board"].pop("toolchain"), "key 'toolchain' is missing"),
    "program": (_set("board", "emulate", {"command": ["sh"]}), "board: names a program to run"),
    "vectors": (_set("vectors", {}), "its vectors are not those of its inputs"),
    "order": (_set("graph", "inputs", 0, 3, 1), "has an order that is none"),
}


@pytest.mark.parametrize("case", BUNDLES)
def test_a_changed_bundle_is_refused_with_the_place(
    case: str, originals: Originals, tmp_path: Path
) -> None:
    change, sentence = BUNDLES[case]
    folder = changed(originals.folder / "out", tmp_path, change)
    with pytest.raises(DataError) as refused:
        load_compiled(folder)
    assert sentence in str(refused.value)
    assert "mcuq_model.npz: is damaged, changed or of another version (" in str(refused.value)


def test_sums_that_do_not_fit_32_bits_are_refused(originals: Originals, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(originals.folder / "out", tmp_path / "out"))
    with np.load(copy / bundle.FILE) as stored:
        arrays = dict(stored)
    facts = json.loads(arrays["facts"].tobytes())
    (bias,) = (t for t in facts["qgraph"]["tensors"] if t[0] == "y.bias" or t[0] == "g.bias")
    arrays[f"a{bias[2]}"] = np.full_like(arrays[f"a{bias[2]}"], 2**31 - 1)
    with (copy / bundle.FILE).open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    with pytest.raises(DataError, match="its sums do not fit 32 bits"):
        bundle.load(copy)


def test_a_bundle_comes_back_as_it_was(originals: Originals) -> None:
    made = bundle.load(originals.folder / "out")
    assert bundle.dump(made) == (originals.folder / "out" / bundle.FILE).read_bytes()
    assert made.board == boards.load("nucleo_f446re")


def test_a_board_of_the_users_own_leaves_its_command_at_home(tmp_path: Path) -> None:
    """Nobody runs a command that came with a folder; a board that ships is its own twin."""
    shipped = boards.load("mps2_an386")
    again = boards.from_table(json.loads(json.dumps(boards.to_table(shipped))), "board")
    assert (again.emulate_command, again.emulate_board) == ((), "mps2_an386")
    assert boards.machine(again) == shipped
    own = replace(shipped, name="mine")
    again = boards.from_table(json.loads(json.dumps(boards.to_table(own))), "board")
    assert asdict(again) == asdict(replace(own, emulate_command=()))
    with pytest.raises(BoardError, match=r"it has no emulated machine\. Name its file with"):
        boards.machine(again)


def test_a_fresh_integer_graph_is_valid_and_a_broken_one_is_our_bug(originals: Originals) -> None:
    made = bundle.load(originals.folder / "out")
    rows = {"x": np.random.default_rng(0).normal(0, 1, (8, 8, 8, 2)).astype(np.float32)}
    fresh = quantize(made.graph, rows, Options(effort="fast", bits={"*": 16}))
    assert list(validate.integer_problems(fresh)) == []
    broken = replace(fresh, nodes=fresh.nodes[:-1])
    with pytest.raises(validate.BrokenGraphError, match="is never written"):
        validate.check(broken)


# The folder around it.


@pytest.mark.parametrize("text", ["[]", "3", "null", "[" * 10**5, "{}", '{"steps": [1]}', "x", ""])
def test_a_report_that_is_none(text: str, originals: Originals, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(originals.folder / "out", tmp_path / "out"))
    (copy / "report.json").write_text(text)
    with pytest.raises(DataError, match=r"or its report\.json was changed"):
        load_compiled(copy)


@pytest.mark.parametrize("name", [b"../x", b"/etc/passwd", b"kernels/../../x", b"\xff"])
def test_a_list_of_files_that_leads_outside(
    name: bytes, originals: Originals, tmp_path: Path
) -> None:
    reason = ".mcuq-files: is damaged"
    copy = Path(shutil.copytree(originals.folder / "out", tmp_path / "out"))
    with (copy / ".mcuq-files").open("ab") as stream:
        stream.write(b"0" * 64 + b"  " + name + b"\n")
    with pytest.raises(McuqError, match=reason):
        load_compiled(copy)
    again = hostile.run(
        "compile", str(originals.folder / "m.onnx"), "--calib", str(originals.folder / "d.npz"),
        "--effort", "fast", "-o", str(copy),
    )  # fmt: skip
    assert (again.code, reason in again.errors) == (1, True)


def test_a_missing_list_is_not_called_another_version(originals: Originals, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(originals.folder / "out", tmp_path / "out"))
    (copy / ".mcuq-files").unlink()
    with pytest.raises(DataError, match=r"holds no \.mcuq-files, the list of the files"):
        load_compiled(copy)


# Boards, options and data.


@pytest.mark.parametrize(
    "flag",
    [
        "-B/tmp", "-wrapper", "-fplugin=x.so", "-fplugin-arg-x-y", "-specs=x", "--specs=x", "-MF",
        "-MFx", "-ox", "-include", "@x", "-Wl,-T,x", "-fsyntax-only", "-fdump-tree-all", "-S", "-E",
        "-fprofile-use=x", "-fuse-ld=x", "-D", "-DX Y", "-mcpu=x\0y", "-fsanitize=address", "-x",
        "-fdiagnostics-format=json-file", "-iplugindir=x", "-m", "-f",
    ],
)  # fmt: skip
def test_flags_are_an_allow_list(flag: str) -> None:
    with pytest.raises(BoardError, match=r"is not one that a board may have|not start with -"):
        boards.from_table(_with_flag(flag), "board")


def _with_flag(flag: str) -> dict[str, object]:
    board = boards.load("nucleo_f446re")
    return {**boards.to_table(board), "flags": [*board.flags, flag]}


@pytest.mark.parametrize(
    "flag", ["-mno-unaligned-access", "-ffixed-r9", "-DX=1", "-std=c11", "-Os", "-falign-loops=4"]
)
def test_harmless_flags_are_taken(flag: str) -> None:
    assert boards.from_table(_with_flag(flag), "board").flags[-1] == flag


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["qemu-system-arm", "--version"], "holds '--version '"),
        (["qemu-system-arm", "-M", "x", "-plugin", "a.so"], "holds '-plugin a.so'"),
        (["qemu-system-arm", "-M", "virt,dumpdtb=x"], "holds '-M virt,dumpdtb=x'"),
        (["qemu-system-arm", "-cpu", "cortex-m4"], "names no machine"),
        (["qemu-system-riscv32", "-M", "virt"], "must start with qemu-system-arm"),
        (["/tmp/qemu-system-arm", "-M", "virt"], "must start with qemu-system-arm"),
    ],
)
def test_emulators_and_their_arguments_are_an_allow_list(
    command: list[str], reason: str, tmp_path: Path
) -> None:
    text = (boards.assets.boards() / "mps2_an386.toml").read_text()
    words = ", ".join(f'"{word}"' for word in command)
    text = text.replace('["qemu-system-arm", "-M", "mps2-an386"]', f"[{words}]")
    path = tmp_path / "mine.toml"
    path.write_text(text.replace('name = "mps2_an386"', 'name = "mine"'))
    with pytest.raises(BoardError) as refused:
        boards.load(path)
    assert reason in str(refused.value)


def test_a_title_is_no_markup(originals: Originals, tmp_path: Path) -> None:
    text = (originals.folder / "b.toml").read_text().replace('title = "', 'title = "[/b]\\u0000')
    (tmp_path / "b.toml").write_text(text)
    assert hostile.run("boards", str(tmp_path / "b.toml")).code == 0


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("check", "out", "--vectors", str(10**12)), "vectors of .* elements are too many"),
        (("compress", "m.onnx", "--max-drop", "nan", "--board", "microbit", "--fit-flash", "9K",
          "-o", "x.onnx"), "--max-drop: nan points. Give 0 to 100"),
        (("compile", "m.onnx", "--compress", "sparse:nan", "-o", "x"), "nan is outside 0..1"),
        (("compile", "m.onnx", "--compress", "sparse:0.5", "--recover", str(10**12), "-o", "x"),
         "Give 0 to 1000000"),
        (("eval", "out", "--data", "model.pt"), "model.pt: holds no numeric array"),
        (("run", "out", "--input", "model.pt", "--board", "microbit", "-o", "x.npy"),
         "model.pt: holds no numeric array"),
        (("compile", "m.onnx", "--calib", "model.pt", "-o", "x"), "holds no numeric array"),
        (("compile", "m.onnx", "--config", "n" * 300, "-o", "x"), "has a name that is too long"),
    ],
)  # fmt: skip
def test_options_out_of_bounds_and_files_of_another_kind(
    argv: tuple[str, ...], reason: str, originals: Originals, monkeypatch: pytest.MonkeyPatch
) -> None:
    import re

    import torch

    monkeypatch.chdir(originals.folder)
    torch.save({"x": torch.zeros(3)}, originals.folder / "model.pt")
    outcome = hostile.run(*argv)
    assert (outcome.code, outcome.warned) == (1, ())
    assert re.search(reason, outcome.errors)


def test_trust_that_is_no_number(originals: Originals, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[compress]\nsparse = 0.5\ntrust = nan\nlearning_rate = inf\n")
    outcome = hostile.run(
        "compile", str(originals.folder / "m.onnx"), "--calib", str(originals.folder / "d.npz"),
        "--config", str(tmp_path / "c.toml"), "-o", str(tmp_path / "x"),
    )  # fmt: skip
    assert outcome.code == 1
    assert "trust = nan is not in 0..1000" in outcome.errors
    assert "learning_rate = inf is not in 0..1000" in outcome.errors


def test_long_messages_are_cut() -> None:
    assert len(str(McuqError("n" * 10**6, "r" * 10**6, "x" * 10**6))) <= 3 * LONGEST + 5
    many = ManyErrors([McuqError("m", str(i)) for i in range(5000)])
    assert str(many).splitlines()[-1] == "... and 4900 more"
    assert len(many.errors) == 5000


def test_json_knows_no_infinity(tmp_path: Path) -> None:
    from mcuq.cli.show import write_json

    write_json(str(tmp_path / "x.json"), {"db": float("inf"), "n": [float("nan"), 1.5]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"db": None, "n": [None, 1.5]}


# Models.


def _fault(proto: onnx.ModelProto, folder: Path) -> str:
    (fault,) = importers.problems_of(save(proto, folder))
    return str(fault)


def test_an_attribute_of_another_type_is_not_read_as_another_number(tmp_path: Path) -> None:
    proto = model([node("Softmax", "x", "y", axis=1)])
    proto.graph.node[0].attribute[0].type = onnx.AttributeProto.FLOAT
    assert "attribute 'axis' of operator Softmax has another type" in _fault(proto, tmp_path)


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    proto = model([node("Relu", "x", "y")])
    proto.producer_name = "PLACE"
    path = save(proto, tmp_path)
    path.write_bytes(path.read_bytes().replace(b"PLACE", b"\xff\xfe\xff\xfe\xff"))
    (fault,) = importers.problems_of(path)
    assert "holds a name (onnx.ModelProto.producer_name) that is no text" in str(fault)


@pytest.mark.parametrize("location", ["n" * 300, "a/" * 600 + "b", "a\0b", "n" * 10**6])
def test_external_data_at_an_impossible_place(location: str, tmp_path: Path) -> None:
    proto = model([node("Add", "x c", "y")], {"c": random(1)})
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    assert "is not a file in the model's folder" in _fault(proto, tmp_path)


@pytest.mark.parametrize("length", [0, 100])
def test_every_payload_of_a_pt2_fills_its_shape(
    length: int, originals: Originals, tmp_path: Path
) -> None:
    """torch takes zeros for what is missing."""
    with zipfile.ZipFile(originals.folder / "m.pt2") as source:
        members = {name: source.read(name) for name in source.namelist()}
    (key,) = (name for name in members if name.endswith("/weight_0"))
    members[key] = members[key][:length]
    with zipfile.ZipFile(tmp_path / "m.pt2", "w") as target:
        for name, content in members.items():
            target.writestr(name, content)
    reason = rf"'data/weights/weight_0' holds {length} bytes where its tensor has 288"
    with pytest.raises(McuqError, match=reason):
        importers.load(tmp_path / "m.pt2")


def test_an_exported_program_compiles(originals: Originals) -> None:
    import torch

    import mcuq

    program = torch.export.load(originals.folder / "m.pt2")
    rows = np.random.default_rng(0).normal(0, 1, (8, 2, 8, 8)).astype(np.float32)
    fast = mcuq.Config(quantize={"effort": "fast"})
    plain = mcuq.compile(program, None, rows, config=fast, name="net")
    example = torch.from_numpy(rows[:1])
    module = mcuq.compile(program.module(), example, rows, config=fast, name="net")
    assert plain.report.macs == module.report.macs > 0


# One cause, one message.


def test_what_follows_from_an_unsupported_node_is_not_reported(tmp_path: Path) -> None:
    nodes = [
        node("NonZero", "x", "n"),
        node("Shape", "n", "s"),
        node("Gather", "s zero", "g", axis=0),
        node("Slice", "s zero one", "t"),
        node("Sqrt", "g", "q"),
        node("Mul", "q t", "m"),
        node("Add", "x m", "y"),
    ]
    constants = {"zero": np.array([0]), "one": np.array([1])}
    text = _fault(model(nodes, constants), tmp_path)
    assert "node 'NonZero:n': operator NonZero is not supported" in text


def _lstm(steps: int) -> onnx.ModelProto:
    """An LSTM of 3 units over ``steps`` rows of 2, written out as Keras exports it."""
    constants = {
        "w": random(2, 12), "u": random(3, 12), "b": random(12),
        "zero": np.zeros((1, 3), np.float32),
    }  # fmt: skip
    constants["parts"] = np.array([3, 3, 3, 3])
    nodes = []
    h = c = "zero"
    for t in range(steps):
        constants[f"t{t}"] = np.array(t)
        nodes += [
            node("Gather", f"x t{t}", f"x{t}", axis=1),
            node("MatMul", f"x{t} w", f"a{t}"),
            node("MatMul", f"{h} u", f"r{t}"),
            node("Add", f"a{t} r{t}", f"s{t}"),
            node("Add", f"s{t} b", f"z{t}"),
            node("Split", f"z{t} parts", f"i{t} f{t} g{t} o{t}", axis=1),
            *(node("Sigmoid", f"{k}{t}", f"{k}{t}s") for k in "ifo"),
            node("Tanh", f"g{t}", f"g{t}t"),
            node("Mul", f"f{t}s {c}", f"k{t}"),
            node("Mul", f"i{t}s g{t}t", f"n{t}"),
            node("Add", f"k{t} n{t}", f"c{t}"),
            node("Tanh", f"c{t}", f"c{t}t"),
            node("Mul", f"o{t}s c{t}t", f"h{t}"),
        ]
        h, c = f"h{t}", f"c{t}"
    nodes.append(node("Relu", h, "y"))
    return model(nodes, constants, {"x": ("N", steps, 2)})


def test_an_unrolled_lstm_is_read_step_by_step(tmp_path: Path) -> None:
    agrees(_lstm(10), tmp_path)


def test_the_same_fault_of_many_nodes_is_said_once(tmp_path: Path) -> None:
    nodes = [node("Bernoulli", "x" if i == 0 else f"v{i}", f"v{i + 1}") for i in range(7)]
    text = _fault(model([*nodes, node("Relu", "v7", "y")]), tmp_path)
    names = "nodes 'Bernoulli:v1', 'Bernoulli:v2', 'Bernoulli:v3' and 4 more"
    assert f"{names}: operator Bernoulli is not supported" in text
