"""Reads calibration, evaluation and input data, and says in one line what is wrong with it.

Files are ``.npz`` or ``.npy`` in the layout of the user's own model; ``FILE.npz:ARRAY`` picks one
array. Arrays are returned in internal memory order. Nothing is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mcuq.data import sequences
from mcuq.data.array_files import check_numeric, listed, no_such_array, read
from mcuq.data.batches import Given, gathered
from mcuq.data.rows import rows_of
from mcuq.errors import DataError
from mcuq.ir import Array, Graph, Port, fed, from_memory, to_memory
from mcuq.qir import QGraph

FEW_ROWS = 8
FAR = 8.0
"""Data this many times larger or smaller than a quantized model expects is another kind."""
FEW_LEVELS = 8
"""Whole numbers up to this may well be what a network takes: classes, counts, flags."""
LABEL_NAMES = ("y", "label", "labels", "target", "targets")
Network = Graph | QGraph


def load(ref: str | Path, network: Network) -> dict[str, Array]:
    """The inputs by port name, in internal order: float32; uint8 at a u8 port, int16 at an s16 one.

    ``network``: a float graph, whose s16 ports take samples; in an integer graph they may be reals.
    Rows (N, ...); of a stream sequences (S, T, ...), one of all rows where the data say no more.
    """
    arrays, picked = read(ref)
    return _feeds(str(ref), arrays, picked, network)


def from_arrays(given: Given, network: Network, thing: str = "calibration") -> dict[str, Array]:
    """As ``load``, for data in memory (``batches.gathered``); ``thing`` names it in errors."""
    found = gathered(given, thing)
    if isinstance(found, (str, Path)):
        return load(found, network)
    return _feeds(thing, found if isinstance(found, Mapping) else {"x": found}, None, network)


def several_outputs(path: Path, names: tuple[str, ...]) -> DataError:
    """A .npy file was asked for where the network has several outputs."""
    reason = f"holds one array, the network has {len(names)} outputs ({', '.join(names)})"
    return DataError(str(path), reason, "Write a .npz file")


def load_labelled(ref: str | Path, network: Network) -> tuple[dict[str, Array], Array]:
    """The inputs, and the class of each row as int64.

    The labels are the array ``y`` (or label, labels, target, targets); for ``FILE.npz:x_test``
    also ``y_test``.
    """
    arrays, picked = read(ref)
    feeds = _feeds(str(ref), arrays, picked, network)
    return feeds, _labels(str(ref), arrays, picked, rows_of(feeds))


def load_evaluated(ref: str | Path, network: Network) -> tuple[dict[str, Array], Array | None]:
    """The inputs, and the numbers that the file gives as ``y``, (N,) or (N, ...); or None."""
    arrays, picked = read(ref)
    feeds = _feeds(str(ref), arrays, picked, network)
    name = _label_name(arrays, picked)
    if name is None:
        check_numeric(ref, arrays, LABEL_NAMES)
        return feeds, None
    given, rows = arrays[name], rows_of(feeds)
    if network.stream and len(given) != rows:  # one for each step of every sequence
        rows *= next(iter(feeds.values())).shape[1]
    if given.dtype.kind not in "fiub" or not given.ndim or not bool(np.isfinite(given).all()):
        reason = f"'{name}' has shape {given.shape} and type {given.dtype}, or holds NaN"
        raise DataError(str(ref), reason, "Give a class or the targets of each row")
    if len(given) != rows:
        raise DataError(str(ref), f"{len(given)} labels in '{name}' for {rows} rows")
    return feeds, given[:, 0] if given.ndim == 2 and given.shape[1] == 1 else given


def load_labels(ref: str | Path) -> Array:
    """The class of each row as int64, as ``load_labelled`` finds them."""
    arrays, picked = read(ref)
    return _labels(str(ref), arrays, picked, None)


def check_calibration(feeds: Mapping[str, Array], network: Network) -> tuple[str, ...]:
    """Advice on thin calibration data, one sentence each; DataError if it is useless."""
    advice = []
    rows = {port.name: _check_varied(feeds, port) for port in network.inputs}
    if len(set(rows.values())) > 1:
        raise DataError("calibration", f"the inputs have different numbers of rows: {rows}")
    count = next(iter(rows.values()), 0)
    if count < FEW_ROWS:
        noun = "row" if count == 1 else "rows"
        advice.append(
            f"calibration has {count} {noun}: ranges will be poor; give 100 or more typical ones"
        )
    for port in network.inputs:
        values = feeds[port.name]
        if count > 1 and bool((values == values[:1]).all()):
            advice.append(f"calibration: all rows of input '{port.name}' are the same")
        advice += _range_advice(values, port, network)
    return tuple(advice)


def _range_advice(values: Array, port: Port, network: Network) -> list[str]:
    """A line on values far from what the network expects, as far as it says so."""
    low, high = float(values.min()), float(values.max())
    if port.kind == "u8" and high <= 1:
        return [f"calibration: input '{port.name}' holds only 0 and 1: are these bytes, 0..255?"]
    hint = network.hints.get(port.tensor) if isinstance(network, Graph) else None
    if port.kind in ("u8", "s16"):
        return []
    if hint is None:
        return _bytes_advice(values, port) if low >= 0 and FEW_LEVELS < high <= 255 else []
    top = 1 << (hint.bits - 1)
    floor, ceiling = (-top - hint.zero) * hint.scale[0], (top - 1 - hint.zero) * hint.scale[0]
    peak, expected = max(-low, high), max(-floor, ceiling)
    if FAR * peak >= expected and peak <= FAR * expected:
        return []
    return [
        f"calibration: input '{port.name}' spans {low:g} to {high:g}, the quantized model was made "
        f"for {floor:g} to {ceiling:g}: is it prepared as for training?"
    ]


def _bytes_advice(values: Array, port: Port) -> list[str]:
    """A line on whole numbers up to 255 where the network takes reals."""
    if not _whole(values):
        return []
    return [
        f"calibration: input '{port.name}' holds whole numbers up to {int(values.max())}, like "
        "raw bytes: is it prepared as for training? If the firmware has such bytes, say so in "
        f'--config: [input.{port.name}] kind = "u8"'
    ]


def _check_varied(feeds: Mapping[str, Array], port: Port) -> int:
    if port.name not in feeds:
        raise DataError("calibration", f"no data for input '{port.name}'", "Give every input")
    values = feeds[port.name]
    if values.size == 0:
        raise DataError("calibration", f"input '{port.name}' has no rows")
    if not bool(np.isfinite(values).all()):
        raise DataError("calibration", f"input '{port.name}' holds NaN or infinity")
    if values.size > 1 and float(values.min()) == float(values.max()):
        raise DataError(
            "calibration",
            f"input '{port.name}' is constant ({float(values.flat[0]):g} everywhere)",
            "Give typical inputs, prepared as for the float model",
        )
    return len(values)


def _feeds(
    ref: str, arrays: Mapping[str, Array], picked: str | None, network: Network
) -> dict[str, Array]:
    feeds, ports = {}, fed(network)
    if picked is not None and len(ports) > 1:
        reason = f"picks one array, the network has {len(ports)} inputs"
        raise DataError(ref, reason, "Name the file alone, with an array for every input in it")
    for port in ports:
        array = _array_for(ref, arrays, picked, port, len(ports))
        shape = network.tensors[port.tensor].shape
        if network.stream is None:
            feeds[port.name] = to_memory(port, shape, _checked(ref, array, port))
        else:
            steps, count = sequences.as_steps(ref, array, port, network.stream)
            rows_in = to_memory(port, shape, _checked(ref, steps, port))
            feeds[port.name] = rows_in.reshape(count, -1, *rows_in.shape[1:])
    rows = {name: len(values) for name, values in feeds.items()}
    if len(set(rows.values())) > 1:
        raise DataError(ref, f"the inputs have different numbers of rows: {rows}")
    return feeds


def _array_for(
    ref: str, arrays: Mapping[str, Array], picked: str | None, port: Port, inputs: int
) -> Array:
    if picked is not None:
        return arrays[picked]
    if port.name in arrays:
        return arrays[port.name]
    if inputs > 1:
        raise no_such_array(Path(ref), port.name, arrays)
    if "x" in arrays:
        return arrays["x"]
    others = [n for n in arrays if n not in LABEL_NAMES]
    candidates = others if others else list(arrays)
    if len(candidates) == 1:
        return arrays[candidates[0]]
    raise DataError(
        ref,
        f"which array is the input '{port.name}'? It holds {listed(arrays)}",
        "Pick one as FILE.npz:ARRAY, or name it x",
    )


def _checked(ref: str, array: Array, port: Port) -> Array:
    """(N, *port.shape[1:]) numbers of the port's kind."""
    if array.dtype.kind not in "fiub":
        raise DataError(ref, f"holds {array.dtype} values", "Give numbers")
    array = _with_rows(ref, array, port)
    if array.size == 0:
        raise DataError(ref, f"no rows for input '{port.name}'", "Give at least one sample")
    if port.kind == "u8":
        return _bytes(ref, array, port)
    if port.kind == "s16":
        return _samples(ref, array, port)
    with np.errstate(over="ignore"):
        reals = array.astype(np.float32)
    if not bool(np.isfinite(reals).all()):
        bad = int(np.flatnonzero(~np.isfinite(reals).reshape(len(reals), -1).all(axis=1))[0])
        raise DataError(ref, f"NaN or infinity in row {bad}", "Remove or repair such rows")
    return reals


def _with_rows(ref: str, array: Array, port: Port) -> Array:
    wanted = tuple(port.shape[1:])
    if array.shape[1:] == wanted and array.ndim == len(wanted) + 1:
        return array
    if array.shape == wanted:
        return array[None]
    if array.ndim == len(wanted) + 2 and array.shape[2:] == wanted:  # a list of batches
        return array.reshape(-1, *wanted)
    expected = f"(N, {', '.join(map(str, wanted))})"
    reason = f"shape {array.shape} where input '{port.name}' has {expected}"
    raise DataError(ref, reason, _shape_remedy(array, port))


def _shape_remedy(array: Array, port: Port) -> str:
    wanted = tuple(port.shape[1:])
    if array.ndim == 1 and array.size and len(wanted) >= 1 and _whole(array):
        return "This looks like labels; give the inputs"
    if array.ndim == 4 and len(wanted) == 3:
        if tuple(array.shape[i] for i in (3, 1, 2)) == wanted:
            return "The model wants the axis order NCHW: x.transpose(0, 3, 1, 2)"
        if tuple(array.shape[i] for i in (2, 3, 1)) == wanted:
            return "The model wants the axis order NHWC: x.transpose(0, 2, 3, 1)"
    if array.ndim and int(np.prod(array.shape[1:])) == int(np.prod(wanted)):
        return f"The size fits: reshape it to (N, {', '.join(map(str, wanted))})"
    return "Give data in the layout of the model's own input"


def _whole(array: Array) -> bool:
    """Whether all values are whole numbers."""
    with np.errstate(invalid="ignore"):
        return bool((array == np.floor(array)).all())


def _bytes(ref: str, array: Array, port: Port) -> Array:
    """Raw bytes: as they are, or from normalised reals by ``round(x / scale + offset)``."""
    if array.dtype == np.uint8:
        return array
    channels = _user_channels(port)
    scale = np.array(port.scale or (1.0,), np.float64)
    offset = np.array(port.offset or (0.0,), np.float64)
    steps = array.astype(np.float64) / _spread(scale, channels) + _spread(offset, channels)
    whole = np.floor(steps + 0.5)
    if not bool(np.isfinite(whole).all()):
        raise DataError(ref, "holds NaN or infinity", "Remove or repair such rows")
    low, high = float(whole.min()), float(whole.max())
    if low < 0 or high > 255:
        raise DataError(
            ref,
            f"input '{port.name}' takes bytes; these reals become {low:g} to {high:g}",
            "Give uint8 data, or reals normalised with the stated mean and scale",
        )
    if high - low <= 1 and float(np.abs(steps - whole).max()) > 0.01:
        raise DataError(
            ref,
            f"input '{port.name}' takes bytes; these reals become only {low:g} to {high:g}",
            "Give uint8 data from 0 to 255, or state mean and std of the reals in the config",
        )
    return whole.astype(np.uint8)


def _samples(ref: str, array: Array, port: Port) -> Array:
    """Samples of sound, which are whole numbers of 16 bits."""
    if not bool(np.isfinite(array).all()):
        raise DataError(ref, "holds NaN or infinity", "Remove or repair such rows")
    low, high = float(array.min()), float(array.max())
    if not _whole(array) or low < -32768 or high > 32767:
        reason = (
            f"input '{port.name}' takes whole numbers of 16 bits; these span {low:g} to {high:g}"
        )
        raise DataError(ref, reason, "Give int16; reals within +-1 times 32768, rounded")
    return array.astype(np.int16)


def user_reals(port: Port, values: Array) -> Array:
    """What rows at ``port``, in memory order, mean to the model: reals in the user's own order."""
    rows = from_memory(port, values)
    if port.kind not in ("u8", "s16"):
        return rows
    channels = _user_channels(port)
    scale, offset = np.array(port.scale, np.float64), np.array(port.offset, np.float64)
    reals: Array = (rows - _spread(offset, channels)) * _spread(scale, channels)
    return reals


def _user_channels(port: Port) -> tuple[int, ...]:
    """The shape that spreads per-channel values over the user's layout."""
    count = max(len(port.scale), len(port.offset))
    shape = [1] * len(port.shape)
    if count > 1:
        channel_last = port.order is None or port.shape[1] != count
        shape[-1 if channel_last else 1] = count
    return tuple(shape)


def _spread(values: Array, shape: tuple[int, ...]) -> Array:
    return values.reshape(shape) if values.size > 1 else values


def _label_name(arrays: Mapping[str, Array], picked: str | None) -> str | None:
    """The array of labels: that of the picked rows, or the first that is called so."""
    twin = ("y" + picked[1:],) if picked and picked.startswith("x") else ()
    return next((n for n in (*twin, *LABEL_NAMES) if n in arrays), None)


def _labels(ref: str, arrays: Mapping[str, Array], picked: str | None, rows: int | None) -> Array:
    name = _label_name(arrays, picked)
    if name is None:
        raise DataError(ref, f"no labels; it holds {listed(arrays)}", "Add an array y")
    labels = arrays[name]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "fiub":
        reason = f"labels '{name}' have shape {labels.shape} and type {labels.dtype}"
        raise DataError(ref, reason, "Give one class number per row")
    if rows is not None and len(labels) != rows:
        raise DataError(ref, f"{len(labels)} labels in '{name}' for {rows} rows")
    with np.errstate(invalid="ignore"):
        whole = labels.astype(np.int64)
    if not bool((whole == labels).all()) or int(whole.min(initial=0)) < 0:
        raise DataError(ref, f"labels '{name}' are not class numbers", "Give integers from 0 up")
    return whole
