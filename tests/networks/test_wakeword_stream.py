"""MLPerf Tiny's streaming wakeword as a stream, on the recording beside the checkout."""

from __future__ import annotations

import numpy as np
from places import SHARED

import mcuq
from mcuq.data import feeds as data
from mcuq.ir import shown
from mcuq.reference import feeds_to_int, run_int
from mcuq.sequences import run_integer

FRAMES = 30


def test_the_wakeword_as_a_stream_equals_its_window_on_all_windows() -> None:
    """Bit for bit, on each of the 282 windows of the recording."""
    with np.load(SHARED / "data" / "sww_samples.npz") as stored:
        rows = stored["x"].transpose(0, 3, 1, 2).astype(np.float32)
        recording = stored["wav_lfbe"].astype(np.float32)
    path = SHARED / "models" / "sww.onnx"
    made = [
        mcuq.compile(path, None, rows, effort="fast", stream=stream)
        for stream in (None, "frames=1")
    ]
    window, stream = (each.compiled.program.qgraph for each in made)
    windows = np.lib.stride_tricks.sliding_window_view(recording, FRAMES, axis=0)[..., None]
    feeds = feeds_to_int(window, data.from_arrays(np.ascontiguousarray(windows), window))
    name = window.outputs[0].tensor
    wanted = run_int(window, feeds, {name})[name]
    assert len(wanted) == len(recording) - FRAMES + 1
    steps = data.from_arrays(recording.T[None, :, :, None], stream)
    name = shown(stream)[0].tensor
    found = run_integer(stream, steps, {name})[name]
    np.testing.assert_array_equal(found[FRAMES - 1 :], wanted)
