"""Nodes that look at windows of images: convolutions, pools, other sizes."""
