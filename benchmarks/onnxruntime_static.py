"""onnxruntime's ``quantize_static`` (int8 QDQ, weights per channel), measured as mcuq is.

onnxruntime is no dependency of mcuq: install it to run this side of the comparison.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from mcuq.measure.evaluate import sqnr

METHODS = ("MinMax", "Entropy", "Percentile")


def measure(
    path: Path, calibration: np.ndarray, test: np.ndarray, labels: np.ndarray | None, method: str
) -> tuple[float, float | None, float, float]:
    """(SQNR in dB, top-1, agreement with float, seconds) of the model at ``path``."""
    from onnxruntime import quantization

    start = time.perf_counter()
    prepared, quantized = path.with_suffix(".prepared.onnx"), path.with_suffix(".int8.onnx")
    quantization.quant_pre_process(path, prepared, skip_symbolic_shape=True)
    quantization.quantize_static(
        prepared,
        quantized,
        _reader(path, calibration),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        calibrate_method=quantization.CalibrationMethod[method],
    )
    seconds = time.perf_counter() - start
    exact, found = run(path, test), run(quantized, test)
    classes = found.argmax(axis=1)
    top1 = None if labels is None else float(np.mean(classes == labels))
    return sqnr(exact, found), top1, float(np.mean(classes == exact.argmax(axis=1))), seconds


def run(path: Path, x: np.ndarray) -> np.ndarray:
    """The first output, row by row on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    rows = [session.run(None, {name: x[i : i + 1]})[0] for i in range(len(x))]
    return np.concatenate(rows)


def _reader(path: Path, x: np.ndarray) -> Any:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader

    name = onnx.load(path).graph.input[0].name

    class Rows(CalibrationDataReader):
        def __init__(self) -> None:
            self._rows = iter({name: x[i : i + 1]} for i in range(len(x)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._rows, None)

    return Rows()
