"""Measurements behind every figure in the documentation; each module is run with ``python -m``."""
