"""The version of mcuq, which generated files name."""

__version__ = "0.1.0"
