"""Sound and model files, made on the spot for benchmarks and tests."""
