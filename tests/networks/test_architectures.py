"""One of the architectures that people bring: exact, and little of their time moves elements."""

from __future__ import annotations

import pytest

from benchmarks.architectures import compiled, moved


@pytest.mark.slow
@pytest.mark.emulated
def test_exact_and_little_moved() -> None:
    """Run ``python -m benchmarks.architectures --check`` for all nine, on four cores."""
    made = compiled("tcn", ["cortex-m4"])
    assert [verdict.exact for verdict in made.check("cortex-m4", vectors=2)] == [True, True]
    assert moved(made.bench("cortex-m4")) <= 0.10
