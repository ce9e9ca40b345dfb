from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mcuq.data.array_files import shapes_of
from mcuq.data.feeds import check_calibration, from_arrays, load, load_evaluated, load_labelled
from mcuq.errors import DataError
from mcuq.ir import Graph, Hint, Port, Tensor


def network(*shapes: tuple[int, ...], kind: str = "s8", **port: object) -> Graph:
    """A graph of inputs a, b, ... only; NCHW ports get the order of NHWC memory."""
    ports, tensors = [], {}
    for name, shape in zip("abc", shapes, strict=False):
        order, inner = None, shape
        if len(shape) == 4:
            _, c, h, w = shape
            inner = (1, h, w, c)
            order = np.arange(c * h * w).reshape(h, w, c).transpose(2, 0, 1).reshape(-1)
        ports.append(Port(name, name, shape, order, kind, **port))  # type: ignore[arg-type]
        tensors[name] = Tensor(name, inner)
    return Graph("net", tuple(ports), (), (), tensors)


def save(folder: Path, **arrays: object) -> str:
    np.savez(folder / "data.npz", **arrays)  # type: ignore[arg-type]
    return str(folder / "data.npz")


VECTORS = np.arange(12, dtype=np.float64).reshape(3, 4)


@pytest.mark.parametrize("name", ["a", "x", "anything"])
def test_one_input_by_its_name_then_x_then_the_only_array(tmp_path: Path, name: str) -> None:
    feeds = load(save(tmp_path, **{name: VECTORS, "y": [0, 1, 2]}), network((1, 4)))
    assert feeds["a"].dtype == np.float32
    assert np.array_equal(feeds["a"], VECTORS)


def test_npy_and_one_sample_without_batch(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", VECTORS[0])
    assert load(tmp_path / "one.npy", network((1, 4)))["a"].shape == (1, 4)


def test_labels_that_are_objects_are_not_overlooked(tmp_path: Path) -> None:
    words = np.array(["cat", None, "dog"], object)
    with pytest.raises(DataError, match=r"'y' holds Python objects\. Save plain numbers"):
        load_evaluated(save(tmp_path, x=VECTORS, y=words), network((1, 4)))
    _, labels = load_evaluated(
        save(tmp_path, x=VECTORS, y=np.arange(3), names=words), network((1, 4))
    )
    assert labels is not None
    assert labels.tolist() == [0, 1, 2]


def test_picked_array(tmp_path: Path) -> None:
    ref = save(tmp_path, x_train=VECTORS, x_test=VECTORS + 1, y_test=[0, 1, 2])
    feeds, labels = load_labelled(f"{ref}:x_test", network((1, 4)))
    assert np.array_equal(feeds["a"], VECTORS + 1)
    assert labels.tolist() == [0, 1, 2]


def test_several_inputs_by_name(tmp_path: Path) -> None:
    feeds = load(save(tmp_path, a=VECTORS, b=VECTORS[:, :2]), network((1, 4), (1, 2)))
    assert feeds["b"].shape == (3, 2)


def test_a_picked_array_is_not_several_inputs(tmp_path: Path) -> None:
    ref = save(tmp_path, a=VECTORS, b=VECTORS[:, :2])
    with pytest.raises(DataError, match="picks one array, the network has 2 inputs"):
        load(f"{ref}:a", network((1, 4), (1, 2)))


def test_arrays_in_memory_are_named_as_what_they_are() -> None:
    with pytest.raises(DataError, match=r"^inputs: shape"):
        from_arrays(VECTORS[:, :2], network((1, 4)), "inputs")


@pytest.mark.parametrize(("top", "lines"), [(1, 0), (255, 1), (254.5, 0), (256, 0)])
def test_bytes_where_reals_are_taken_are_named(top: float, lines: int) -> None:
    values = np.array([[0, 1, 1, top]] * 8 + [[0, 0, 0, 0]], np.float32)
    advice = check_calibration({"a": values}, network((1, 4)))
    assert [text for text in advice if '[input.a] kind = "u8"' in text] == [*advice][:lines]


def test_nchw_data_becomes_nhwc(tmp_path: Path) -> None:
    x = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    feeds = load(save(tmp_path, x=x), network((1, 3, 4, 5)))
    assert np.array_equal(feeds["a"], x.transpose(0, 2, 3, 1))


def test_bytes_at_a_float_input_are_reals(tmp_path: Path) -> None:
    feeds = load(save(tmp_path, x=VECTORS.astype(np.uint8)), network((1, 4)))
    assert np.array_equal(feeds["a"], VECTORS)


def test_bytes_and_normalised_reals_at_a_byte_input(tmp_path: Path) -> None:
    raw = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4)).astype(np.uint8)
    mean, std = np.array([120.0, 110.5, 100.0]), np.array([50.0, 60.0, 70.0])
    reals = (raw - mean[:, None, None]) / std[:, None, None]
    net = network((1, 3, 4, 4), kind="u8", scale=tuple(1 / std), offset=tuple(mean))
    as_bytes = load(save(tmp_path, x=raw), net)["a"]
    assert as_bytes.dtype == np.uint8
    assert np.array_equal(as_bytes, raw.transpose(0, 2, 3, 1))
    assert np.array_equal(load(save(tmp_path, x=reals), net)["a"], as_bytes)
    with pytest.raises(DataError, match="takes bytes; these reals become"):
        load(save(tmp_path, x=reals * 9), net)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": VECTORS[:, :3]}, r"shape \(3, 3\) where input 'a' has \(N, 4\)"),
        ({"x": VECTORS[:0]}, "no rows"),
        ({"x": np.where(VECTORS == 5, np.nan, VECTORS)}, "NaN or infinity in row 1"),
        ({"x": VECTORS * 1e300}, "NaN or infinity"),
        ({"x": np.array([0, 1, 2])}, "looks like labels"),
        ({"x": np.array([0.0, 3.0, 9.0])}, "looks like labels"),
        ({"x": np.array([0.5, 3.0])}, "layout of the model's own input"),
        ({"p": VECTORS, "q": VECTORS}, r"which array.*p \(3, 4\), q \(3, 4\)"),
        ({"x": np.array(["a", "b"])}, "Give numbers"),
        ({"x": np.array([{}], object)}, "no numeric array"),
        ({"x": VECTORS.reshape(3, 2, 2)}, r"reshape it to \(N, 4\)"),
    ],
)
def test_faults(tmp_path: Path, arrays: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(save(tmp_path, **arrays), network((1, 4)))


def test_wrong_axis_order_says_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"axis order NCHW: x.transpose\(0, 3, 1, 2\)"):
        load(save(tmp_path, x=np.zeros((2, 4, 5, 3))), network((1, 3, 4, 5)))


def test_file_faults(tmp_path: Path) -> None:
    net = network((1, 4))
    with pytest.raises(DataError, match="no such file"):
        load(tmp_path / "none.npz", net)
    with pytest.raises(DataError, match="is a folder"):
        load(tmp_path, net)
    ref = Path(save(tmp_path, x=VECTORS))
    with pytest.raises(DataError, match=r"no array 'xx'\. Did you mean 'x'"):
        load(f"{ref}:xx", net)
    ref.write_bytes(ref.read_bytes()[:-40])
    with pytest.raises(DataError, match="truncated"):
        load(ref, net)
    ref.write_text("not numpy")
    with pytest.raises(DataError, match="is not a NumPy file"):
        load(ref, net)
    ref.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read"):
        load(ref, net)


def test_inputs_with_different_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="different numbers of rows"):
        load(save(tmp_path, a=VECTORS, b=VECTORS[:2, :2]), network((1, 4), (1, 2)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({}, "no labels"),
        ({"y": [0, 1]}, "2 labels in 'y' for 3 rows"),
        ({"y": [0, 1, -1]}, "not class numbers"),
        ({"y": [0, 1, 0.5]}, "not class numbers"),
        ({"y": np.eye(3)}, "one class number per row"),
    ],
)
def test_label_faults(tmp_path: Path, labels: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_labelled(save(tmp_path, x=VECTORS, **labels), network((1, 4)))


def test_calibration_advice() -> None:
    net = network((1, 4))
    random = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    assert check_calibration({"a": random}, net) == ()
    assert "has 1 row" in check_calibration({"a": random[:1]}, net)[0]
    assert "all rows" in check_calibration({"a": np.repeat(random[:1], 9, 0)}, net)[0]
    with pytest.raises(DataError, match="constant"):
        check_calibration({"a": np.ones((9, 4), np.float32)}, net)
    with pytest.raises(DataError, match="no data for input 'a'"):
        check_calibration({}, net)


def test_calibration_in_the_range_of_another_preparation(tmp_path: Path) -> None:
    net = network((1, 3, 4, 4), kind="u8", scale=(1.0,), offset=(0.0,))
    reals = np.random.default_rng(0).uniform(0, 1, (9, 3, 4, 4))
    with pytest.raises(DataError, match="takes bytes; these reals become only 0 to 1"):
        load(save(tmp_path, x=reals), net)
    feeds = load(save(tmp_path, x=(reals > 0.5).astype(np.uint8)), net)
    assert "are these bytes, 0..255?" in check_calibration(feeds, net)[0]


@pytest.mark.parametrize(("factor", "lines"), [(1.0, 0), (0.01, 1), (100.0, 1)])
def test_calibration_unlike_what_a_quantized_model_was_made_for(factor: float, lines: int) -> None:
    net = replace(network((1, 4)), hints={"a": Hint((2.0**-5,))})
    data = np.random.default_rng(0).uniform(-3, 3, (20, 4)).astype(np.float32)
    advice = check_calibration({"a": data * np.float32(factor)}, net)
    assert len(advice) == lines
    assert all("made for -4 to 3.96875" in text for text in advice)


def test_nan_in_memory_is_refused() -> None:
    with pytest.raises(DataError, match="NaN or infinity"):
        check_calibration({"a": np.full((9, 4), np.nan, np.float32)}, network((1, 4)))


def test_shapes_are_read_from_headers(tmp_path: Path) -> None:
    arrays = {"a": np.zeros((3, 4)), "y": np.zeros(3, np.int64)}
    np.savez_compressed(tmp_path / "d.npz", **arrays)
    np.save(tmp_path / "d.npy", np.zeros((5, 2, 2), np.float32))
    (tmp_path / "bad.npz").write_bytes(b"PK no archive")
    assert shapes_of(tmp_path / "d.npz") == {"a": (3, 4), "y": (3,)}
    assert shapes_of(f"{tmp_path / 'd.npz'}:a") == {"x": (3, 4)}
    assert shapes_of(tmp_path / "d.npy") == {"x": (5, 2, 2)}
    assert shapes_of(tmp_path / "bad.npz") == {}
    assert shapes_of(tmp_path / "none.npz") == {}
    assert shapes_of(arrays) == {"a": (3, 4), "y": (3,)}
