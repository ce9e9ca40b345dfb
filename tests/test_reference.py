import numpy as np
import pytest
from small_networks import Net, images, residual_network

from mcuq import reference
from mcuq.errors import DataError
from mcuq.ir import Port
from mcuq.quantize import quantize
from mcuq.reference import feeds_to_int, port_to_int, port_to_real, run_float, run_int


def test_float_run_keeps_every_activation() -> None:
    graph = residual_network()
    values = run_float(graph, {"x": images(3)})
    assert set(values) == {"x", *(node.output for node in graph.nodes)}
    assert all(v.shape == (3, *graph.shape(n)[1:]) for n, v in values.items())
    assert np.allclose(values["classes"].sum(axis=1), 1.0, atol=1e-6)


def test_only_wanted_tensors_are_kept() -> None:
    values = run_float(residual_network(), {"x": images(2)}, {"total"})
    assert set(values) == {"total"}


def test_chunks_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = residual_network()
    qgraph = quantize(graph, {"x": images(16)})
    feeds = feeds_to_int(qgraph, {"x": images(7)})
    whole = run_int(qgraph, feeds)
    monkeypatch.setattr(reference, "CHUNK_ELEMENTS", 1)
    parts = run_int(qgraph, feeds)
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)


def test_missing_feed() -> None:
    with pytest.raises(DataError, match="no data for input 'x'"):
        run_float(residual_network(), {})


BYTES = Port("x", "x", (1, 3), kind="u8", scale=(1.0, 1.0, 0.5), offset=(0.0, 10.0, 10.0))


@pytest.mark.parametrize(
    ("port", "reals", "integers"),
    [
        (Port("x", "x", (1, 3), None, "s8", (0.5,), (-128.0,)), [0, 0.25, 200], [-128, -127, 127]),
        (Port("x", "x", (1, 3), None, "s8", (0.25,), (0.0,)), [-0.125, 0.125, -99], [0, 1, -128]),
        (BYTES, [7.0, -3.0, 4.0], [7, 7, 18]),
    ],
)
def test_port_conversion(port: Port, reals: list[float], integers: list[int]) -> None:
    found = port_to_int(port, np.array([reals], np.float32))
    assert found.tolist() == [integers]
    again = port_to_int(port, port_to_real(port, found))
    assert np.array_equal(again, found)


def test_raw_bytes_pass() -> None:
    port = Port("x", "x", (1, 2), kind="u8", scale=(0.1,), offset=(3.0,))
    raw = np.array([[0, 255]], np.uint8)
    assert port_to_int(port, raw) is raw


def test_two_inputs() -> None:
    net = Net((1, 4))
    second = net.input("second", (1, 4))
    graph = net.graph(net.node("add", "x", second, clip=(-np.inf, np.inf), name="sum"))
    ones = np.ones((2, 4), np.float32)
    assert run_float(graph, {"x": ones, "second": 2 * ones})["sum"].tolist() == [[3.0] * 4] * 2
