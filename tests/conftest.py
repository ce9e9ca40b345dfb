"""What needs the measured networks and data beside the checkout runs where they are."""

from __future__ import annotations

from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared"

collect_ignore = [] if SHARED.is_dir() else ["test_shared_models.py"]
