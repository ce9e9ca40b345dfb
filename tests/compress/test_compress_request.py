"""What a user may ask for, and the one line that a bad request gets."""

from __future__ import annotations

import re
from typing import Any

import pytest
from small_networks import residual_network

from mcuq.compress.request import Methods, Request, from_table, parse
from mcuq.compress.sparsity import Pattern
from mcuq.errors import ManyErrors, McuqError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("structured:0.5", Methods(structured=0.5)),
        ("sparse:0.8", Methods(zeros=Pattern("sparse", 0.8))),
        ("block:0", Methods(zeros=Pattern("block", 0.0))),
        ("2:4", Methods(zeros=Pattern("n:m", 0.5, 2, 4))),
        ("cluster:4bit", Methods(codes="cluster4")),
        ("cluster:2", Methods(codes="cluster2")),
        ("log", Methods(codes="log")),
        ("int4", Methods(codes="int4")),
        ("none", Methods()),
        (
            "structured:0.5, block:1,cluster",
            Methods(0.5, Pattern("block", 1.0), "cluster4"),
        ),
    ],
)
def test_parse(text: str, expected: Methods) -> None:
    assert parse(text) == expected
    assert parse(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sparse:1.5", "'sparse:1.5': 1.5 is outside 0..1. sparse:0.5 removes half."),
        ("structured:-1", "'structured:-1': -1 is outside 0..1"),
        ("sparse:nan", "'sparse:nan': nan is outside 0..1"),
        ("sparse", "'sparse' lacks the share that goes, 0..1. Write sparse:0.5."),
        ("block:half", "'block:half' lacks the share"),
        ("clsuter:4bit", "unknown method 'clsuter'. Did you mean 'cluster'."),
        ("", "unknown method ''"),
        ("cluster:3bit", "'cluster:3bit' asks for other than 4 or 2 bits. Use cluster:4bit."),
        ("log:4", "'log:4': log takes no number. Write log."),
        ("5:4", "'5:4' does not keep 1 or more of at most 32"),
        ("0:4", "'0:4' does not keep 1 or more"),
        ("log,int4", "'log' and 'int4' exclude each other. Give one of them."),
        ("sparse:0.5,2:4", "'sparse:0.5' and '2:4' exclude each other"),
    ],
)
def test_bad_text(text: str, message: str) -> None:
    with pytest.raises(McuqError, match=re.escape(f"--compress: {message}")):
        parse(text)


def test_table() -> None:
    request = from_table(
        {
            "structured": 0.5,
            "cluster": "4bit",
            "scope": "global",
            "recover": 3,
            "learning_rate": 1,
            "layers": {"fc*": "block:0.8", "stem": "none"},
        }
    )
    assert request.default == Methods(structured=0.5, codes="cluster4")
    assert request.layers == (("fc*", parse("block:0.8")), ("stem", Methods()))
    assert (request.scope, request.tuning.epochs) == ("global", 3)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"spares": 0.5}, "unknown key spares. Did you mean 'sparse'"),
        ({"sparse": 2}, "'sparse:2': 2 is outside 0..1"),
        ({"layers": "fc"}, "layers is not a table. Write [compress.layers]"),
        ({"layers": {"fc": "lgo"}}, "[compress] layers 'fc': unknown method 'lgo'"),
        ({"scope": "all"}, "scope = 'all'. Use layer or global"),
        ({"schedule": "cubical"}, "schedule = 'cubical'. Use constant or linear"),
        ({"importance": "size"}, "importance = 'size'. Use taylor"),
        ({"recover": 1.5}, "recover = 1.5 is not of type int"),
        ({"recover": True}, "recover = True is not of type int"),
        ({"steps": 0}, "steps = 0 is not in 1..1000"),
        ({"flip": 1}, "flip = 1 is not of type bool"),
    ],
)
def test_bad_table(table: dict[str, Any], message: str) -> None:
    with pytest.raises(McuqError, match=re.escape(message)):
        from_table(table)


def test_all_faults_of_a_table_at_once() -> None:
    with pytest.raises(ManyErrors) as caught:
        from_table({"sparse": 2, "recover": -1, "layers": {"a": "b"}})
    assert len(caught.value.errors) == 3


def test_layers_by_pattern() -> None:
    graph = residual_network()
    names = [n.name for n in graph.nodes if n.op == "conv2d"]
    first = names[0]
    request = Request(parse("log"), ((first, parse("2:4")), ("conv2d*", parse("int4"))))
    found = request.of_layers(graph)
    assert found[first].zeros is not None
    assert {found[name].codes for name in names[1:]} == {"int4"}
    assert {m.codes for n, m in found.items() if not n.startswith("conv2d")} == {"log"}


def test_an_unknown_layer_gets_the_close_match() -> None:
    graph = residual_network()
    name = next(n.name for n in graph.nodes if n.op == "dense")
    with pytest.raises(McuqError, match=f"no layer matches '{name}x'. Did you mean '{name}'"):
        Request(layers=((name + "x", Methods()),)).of_layers(graph)
