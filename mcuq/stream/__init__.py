"""A network that reads a window of frames, made one that takes the new ones alone."""
