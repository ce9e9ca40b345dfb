"""What needs the measured networks and data beside the checkout runs where they are."""

from __future__ import annotations

from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared"

_NEEDS_SHARED = ["test_shared_models.py", "test_public_models.py"]
collect_ignore = [] if SHARED.is_dir() else _NEEDS_SHARED
