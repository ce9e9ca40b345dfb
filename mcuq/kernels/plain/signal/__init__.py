"""Plain kernels for what is computed before and behind a network."""
