"""Compression from the outside: compile, compress, files, reports, and what a user is told."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from onnx_models import model, node, random, save
from sklearn.datasets import load_digits
from small_networks import Net
from torch import nn

import mcuq
from mcuq.cli import cli
from mcuq.compress.request import Request, from_table, parse
from mcuq.compress.weigh import paying, plain_program, requested
from mcuq.errors import ModelError
from mcuq.flows.compress import compress_model
from mcuq.importers import load
from mcuq.ir import Graph
from mcuq.model.compiled import load_compiled
from mcuq.targets import boards

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"
FAST = mcuq.Config(quantize={"effort": "fast"})


@functools.cache
def digits(rows: int) -> tuple[Any, Any]:
    images, labels = load_digits(return_X_y=True)
    return (images[:rows].reshape(-1, 1, 8, 8) / 16).astype(np.float32), labels[:rows]


@functools.cache
def clustered() -> mcuq.Model:
    return mcuq.compile(
        DIGITS, calibration=digits(60)[0], config=FAST, compress="cluster:4bit", board="mps2_an386"
    )


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=True)


def test_the_report_says_what_it_brings() -> None:
    layers = clustered().report.compression.layers
    assert [layer.layer for layer in layers]
    for layer in layers:
        assert layer.methods in ("none", "cluster:4bit")
        if layer.methods != "none":
            assert layer.values <= 16
            assert layer.flash < layer.flash_before or layer.why
    assert clustered().report.compression.output_sqnr_db > 15


class Listening(nn.Module):
    """A recurrent layer in one direction, one in both, and classes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.LSTM(6, 16, batch_first=True)
        self.second = nn.GRU(16, 12, batch_first=True, bidirectional=True)
        self.classes = nn.Linear(24, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classes(self.second(self.first(x)[0])[0][:, -1])


def listening(compress: Any) -> mcuq.Model:
    torch.manual_seed(0)
    rows = np.random.default_rng(0).normal(size=(32, 9, 6)).astype(np.float32)
    return mcuq.compile(
        Listening().eval(), torch.from_numpy(rows[:1]), rows, config=FAST, compress=compress,
        board="mps2_an386",
    )  # fmt: skip


def test_recurrent_layers_lose_units() -> None:
    made = listening("structured:0.5,block:0.5")
    layers = {layer.layer: layer for layer in made.report.compression.layers}
    recurrent = [layer for name, layer in layers.items() if "linear" not in name]
    assert len(recurrent) == 3
    for layer in recurrent:
        assert layer.methods == "structured:0.5"
        assert layer.after < layer.before
        assert layer.flash < layer.flash_before
    assert sum(n.after for n in recurrent) <= 0.5 * sum(n.before for n in recurrent)
    (host,) = made.check([], vectors=4)
    assert host.exact, host.first


def test_single_weights_of_recurrent_layers_stay() -> None:
    request = Request(layers=(("*lstm*", parse("block:0.5")),))
    with pytest.raises(mcuq.McuqError, match="recurrent layer, which loses whole units"):
        listening(request)


def test_a_compiled_folder_keeps_the_network_before(tmp_path: Path) -> None:
    folder = clustered().write(tmp_path / "out")
    made = load_compiled(folder)
    assert made.bundle.whole is not None
    images, labels = digits(60)
    result = mcuq.load(folder).evaluate(images, labels)
    plain = mcuq.compile(DIGITS, calibration=images, config=FAST).evaluate(images, labels)
    assert result.float_top1 == plain.float_top1
    shown = run("eval", folder, "--data", _data(tmp_path))
    assert "compressed, float top-1" in shown.output


def _data(folder: Path, rows: int = 60) -> Path:
    images, labels = digits(rows)
    np.savez(folder / "data.npz", x=images, y=labels)
    return folder / "data.npz"


def test_the_generated_network_is_exact() -> None:
    (host,) = clustered().check([], vectors=4)
    assert host.exact, host.first


def test_a_small_onnx_file_is_an_ordinary_model(tmp_path: Path) -> None:
    small = mcuq.compress_model(DIGITS, None, digits(60)[0], compress="structured:0.4,sparse:0.5")
    path = small.write(tmp_path / "small.onnx")
    model = mcuq.compile(path, calibration=digits(60)[0], config=FAST)
    assert model.report.macs < 0.6 * clustered().report.macs
    back = load(path)
    shared = [n for n in small.graph.tensors if small.graph.is_constant(n)]
    assert all(np.array_equal(small.graph.data(n), back.data(n)) for n in shared)


def test_the_command_writes_file_table_and_json(tmp_path: Path) -> None:
    out, facts = tmp_path / "small.onnx", tmp_path / "facts.json"
    (tmp_path / "c.toml").write_text('[compress.layers]\n"*" = "block:0.5"\n')
    done = run(
        *("compress", DIGITS, "--calib", _data(tmp_path), "--config", tmp_path / "c.toml"),
        *("--recover", 1, "--labels", "--board", "mps2_an386", "-o", out, "--json", facts),
    )
    assert done.exit_code == 0, done.output
    assert "small.onnx written, output SQNR" in done.output
    layers = json.loads(facts.read_text())["layers"]
    pruned = [layer for layer in layers if layer["methods"] == "block:0.5"]
    assert pruned
    assert all(layer["nonzero"] <= 0.5 * layer["before"] + 4 for layer in pruned)
    load(out)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--compress", "sparse:1.5"], "--compress: 'sparse:1.5': 1.5 is outside 0..1"),
        (["--compress", "lgo"], "unknown method 'lgo'. Did you mean 'log'"),
        (["--compress", "log", "--recover", "2"], "recovery needs typical inputs"),
        (["--compress", "structured:1"], "would empty a layer"),
        ([], "compress: no method is given"),
        (["--recover", "2"], "there is nothing to recover from. Add --compress"),
        (["--fit-flash", "64K"], "limits are of a board's memory. Pass --board"),
        (["--fit-flash", "big", "--board", "microbit"], "--fit-flash: 'big' is no size"),
        (["--fit-ram", "8K", "--compress", "log"], "find the methods themselves"),
    ],
)
def test_bad_requests(more: list[str], message: str, tmp_path: Path) -> None:
    done = run("compress", DIGITS, *more, "-o", tmp_path / "small.onnx")
    assert isinstance(done.exception, mcuq.McuqError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "small.onnx").exists()


def test_an_unknown_layer_in_the_config(tmp_path: Path) -> None:
    name = next(n.name for n in load(DIGITS).nodes if n.op == "conv2d")
    path = tmp_path / "c.toml"
    path.write_text(f'[compress.layers]\n"{name}x" = "log"\n')
    done = run("compress", DIGITS, "--config", path, "-o", tmp_path / "small.onnx")
    assert f"no layer matches '{name}x'. Did you mean '{name}'" in str(done.exception)


def _convolution_and_dense() -> Graph:
    net = Net((1, 8, 8, 4))
    hidden = net.conv(net.conv("x", 16), 32)
    flat = net.node("reshape", hidden, shape=(1, 2048))
    return net.graph(net.dense(flat, 64))


def test_zeros_that_no_kernel_uses_are_not_made() -> None:
    """A 3x3 convolution has none for them; a large dense layer has."""
    graph = _convolution_and_dense()
    _, conv, dense = (n.name for n in graph.nodes if n.op != "reshape")
    feeds = {"x": np.random.default_rng(0).normal(0, 1, (16, 8, 8, 4)).astype(np.float32)}
    core = boards.cpu(boards.load("mps2_an386"))
    program = plain_program(graph, feeds, core, "balanced")
    request, notes = paying(Request(parse("block:0.8")), graph, program)
    assert str(request.of_layers(graph)[dense]) == "block:0.8"
    assert str(request.of_layers(graph)[conv]) == "none"
    assert [note.partition(" left")[0] for note in notes] == [f"{conv}: block:0.8"]
    named = Request(layers=(("*", parse("block:0.8")),))
    assert paying(named, graph, program) == (named, ())
    both, notes = paying(Request(parse("block:0.8,cluster:4bit")), graph, program)
    found = both.of_layers(graph)[dense]
    assert (found.zeros is None) != (found.codes is None)
    assert any(f"{dense}: " in note and " left out, as the kernel" in note for note in notes)


@pytest.mark.parametrize(("board", "even"), [("mps2_an386", True), ("mps2_an385", False)])
def test_clusters_may_be_even_where_a_kernel_is_faster_for_that(board: str, even: bool) -> None:
    """Dense layers on Cortex-M4."""
    graph = _convolution_and_dense()
    dense = graph.nodes[-1].name
    feeds = {"x": np.random.default_rng(0).normal(0, 1, (16, 8, 8, 4)).astype(np.float32)}
    program = plain_program(graph, feeds, boards.cpu(boards.load(board)), "balanced")
    request, notes = paying(Request(parse("cluster:4bit")), graph, program)
    found = request.of_layers(graph)[dense]
    assert found.codes == ("cluster4-even" if even else "cluster4")
    assert str(found) == "cluster:4bit"
    assert not any(dense in note for note in notes)


def test_methods_of_the_command_replace_those_of_the_config() -> None:
    told = from_table({"sparse": 0.5, "layers": {"a": "int4"}, "recover": 3})
    request = requested("log", told, None)
    assert request is not None
    assert str(request.default) == "log"
    assert str(request.layers[0][1]) == "int4"
    assert request.tuning.epochs == 3


def test_what_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    constants = {"w": random(1, 5, 4), "r": random(1, 5, 5), "h": random(1, 1, 5)}
    nodes = [node("RNN", "x w r - - h", "y", hidden_size=5)]
    path = save(model(nodes, constants, {"x": (7, 1, 4)}), tmp_path)
    steps: list[str] = []
    with pytest.raises(ModelError, match="does not start at 0 cannot be written as ONNX"):
        compress_model(path, compress="structured:0.5", progress=lambda text, _: steps.append(text))
    assert steps == ["reading the model"]
