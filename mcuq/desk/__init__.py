"""A model on a real board: loaded or talked to, run step by step, read back."""
