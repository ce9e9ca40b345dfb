"""What mcuq knows of cores: `cores.py`."""
