"""What needs the measured networks and data beside the checkout runs where they are."""

from __future__ import annotations

from places import SHARED

collect_ignore = [] if SHARED.is_dir() else ["whole/test_shared_models.py"]
