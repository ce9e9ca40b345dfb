"""What needs the measured networks and data beside the checkout runs where they are."""

from __future__ import annotations

from places import SHARED

_NEEDS_SHARED = [
    "networks/test_shared_models.py", "networks/test_shared_tflite.py",
    "networks/test_public_models.py", "networks/test_wakeword_stream.py",
]  # fmt: skip
collect_ignore = [] if SHARED.is_dir() else _NEEDS_SHARED
