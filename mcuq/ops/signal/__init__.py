"""What is computed before and behind a network: of samples, and of its scores."""
