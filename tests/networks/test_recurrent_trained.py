"""A trained GRU stays what it was in integers: benchmarks/recurrent_trained.py in small."""

from __future__ import annotations

from benchmarks import recurrent_trained


def test_a_trained_gru_names_the_same_classes_and_drifts_from_nothing() -> None:
    """The digits row by row, and 2,000 steps of them as a stream that is never reset."""
    found = {row.what: row for row in recurrent_trained.rows(recurrent_trained.digits())}
    top1, same = found["top-1"], found["argmax as in float"]
    stream = next(row for what, row in found.items() if what.startswith("stream of 2,000"))
    assert _number(top1.exact) > 70
    assert abs(_number(top1.exact) - _number(top1.found)) < 1
    assert _number(same.found) >= 98
    assert _number(stream.found) >= 20
    assert [row.found for row in found.values() if row.asked == "exact"] == ["exact", "exact"]


def _number(text: str) -> float:
    return float(text.split()[0])
