"""Makes any ONNX model one of standard nodes with known shapes: old, foreign and integer forms."""
