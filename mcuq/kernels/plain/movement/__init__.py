"""Plain kernels that move elements and compute nothing."""
