"""Names from a model are data: whatever they hold, the C compiles, is exact, and says no more than
what mcuq meant it to say.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import c_programs
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mcuq.config import Config
from mcuq.flows.compile import compile_model
from mcuq.measure import check
from mcuq.model import bundle
from mcuq.model.compiled import Compiled, load_compiled

pytestmark = pytest.mark.slow

MARK = "Br3ak!"  # no identifier can hold it, so outside of comments it has broken out
NAMES = {
    "quotes": f"a\"b'c`{MARK}",
    "ends a comment": f"*/ {MARK} int x = 1; /*",
    "nested comment": f"/* // /*/ {MARK} */*/",
    "new lines": f"one\n#error {MARK}\r\ntwo\v\f\0three",
    "backslashes": f"path\\to\\{MARK}\\",
    "trigraphs": f"??/\n??' {MARK} ??=define",
    "format": f"%s%n{{{{ {MARK} }}}}{{% raw %}}",
    "keyword": "int",
    "macro": "INT32_MAX",
    "our own": "arena",
    "digits first": "3x3",
    "unicode": "überträge_λ_層\u202e\u2028" + MARK,
    "only signs": "!!! ???",
    "long": "layer" * 60,
    "space": "  ",
}


def network(name: str) -> onnx.ModelProto:
    """Inputs, outputs, nodes and constants that all carry ``name``, some of them twice after
    anything but letters and digits has been replaced.
    """
    chance = np.random.default_rng(0)
    weights = [chance.normal(0, 0.4, s).astype(np.float32) for s in ((3, 2, 3, 3), (3, 3, 1, 1))]
    same = (f"{name}.1", f"{name}_1", f"{name} 1", f"{name}/1")
    pads: dict[str, object] = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", [name, f"w{name}"], [same[0]], name=name, **pads),
        helper.make_node("Sigmoid", [same[0]], [same[1]], name=name),
        helper.make_node("Conv", [same[1], f"{name}w"], [same[2]], name=""),
        helper.make_node("Add", [same[2], same[1]], [same[3]], name=f"{name}_"),
        helper.make_node("Relu", [same[3]], [f"{name}?"], name=f"_{name}"),
    ]
    ports = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, 5, 4])
        for n, c in ((name, 2), (f"{name}?", 3), (same[1], 3))
    ]
    constants = [
        numpy_helper.from_array(data, n)
        for n, data in zip((f"w{name}", f"{name}w"), weights, strict=True)
    ]
    graph = helper.make_graph(nodes, name, ports[:1], ports[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def compiled(name: str, path: Path) -> Compiled:
    path.write_bytes(network(name).SerializeToString())
    rows = np.random.default_rng(1).normal(0, 1, (16, 2, 5, 4)).astype(np.float32)
    return compile_model(path, calibration=rows, config=Config(quantize={"effort": "fast"}))


def without_comments(text: str) -> str:
    """C text as a compiler sees it."""
    joined = text.replace("\\\n", "")
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", joined, flags=re.DOTALL)


def builds_and_is_exact(made: Compiled, folder: Path) -> None:
    place = c_programs.write(made.files, folder / "out")
    command = ["gcc", *c_programs.STRICT, "-Wcomment", "-Wtrigraphs", "-I.", "-c"]
    c_programs.run([*command, *c_programs.sources(made.files)], place)
    c_programs.run(["make", "-s"], place)
    assert check.check(made, [], 8)[0].exact


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_works(name: str, tmp_path: Path) -> None:
    made = compiled(name, tmp_path / "net.onnx")
    builds_and_is_exact(made, tmp_path)
    for path, text in made.files.items():
        assert text.isascii()
        if path.endswith((".c", ".h")):
            assert MARK not in without_comments(text)
    assert MARK not in made.files["Makefile"] + made.files["CMakeLists.txt"]
    assert made.report.inputs[0].name == name
    assert json.loads(made.files["report.json"])["inputs"][0]["name"] == name


def test_a_bundle_keeps_the_name(tmp_path: Path) -> None:
    name = "".join(NAMES.values())
    made = compiled(name, tmp_path / "net.onnx")
    made.write(tmp_path / "out")
    again = load_compiled(tmp_path / "out")
    assert again.bundle.graph.inputs[0].name == name
    assert again.files == made.files
    assert bundle.dump(again.bundle) == bundle.dump(made.bundle)


FILES = (
    *('we"ird *\\ näme?\n#error', "a b$(x)", "-o", "2fast", "層", "layer" * 40, "kernels", "build"),
    *("string", "stdint", "features", "int", "MEMCPY", "main", "mcuq_conv2d", "mcuq_requant"),
)


@pytest.mark.parametrize("file", FILES)
def test_any_file_name_works(file: str, tmp_path: Path) -> None:
    made = compiled("x", tmp_path / f"{file}.onnx")
    builds_and_is_exact(made, tmp_path)
