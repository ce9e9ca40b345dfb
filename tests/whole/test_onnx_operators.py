"""The ``onnx`` package's own tests of its operators: what is accepted gives their results."""

from __future__ import annotations

from pathlib import Path

from benchmarks.onnx_operators import Outcome, outcomes, table

ACCEPTED = frozenset(
    """
    Add ArgMax Attention AveragePool BatchNormalization Clip Concat Conv ConvInteger
    DequantizeLinear Div Dropout Einsum Elu Flatten Gelu Gemm GlobalAveragePool GlobalMaxPool
    GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LeakyRelu
    LpNormalization MatMul MatMulInteger MaxPool Mean MeanVarianceNormalization Mul Neg Pad
    QLinearConv QLinearMatMul RMSNormalization ReduceMax ReduceMean Relu Reshape ReverseSequence
    Sigmoid Softmax SpaceToDepth Squeeze Sub Sum Swish Tanh Transpose Unsqueeze
    """.split()
)
"""Operators of which at least one case comes through."""


def test_nothing_accepted_is_wrong(tmp_path: Path) -> None:
    """Run ``python -m benchmarks.onnx_operators`` for the table."""
    found = list(outcomes(tmp_path))
    assert [o for o in found if o.state == "wrong"] == []
    accepted = {o.op for o in found if o.state == "accepted"}
    assert accepted >= ACCEPTED
    assert len(found) > 1000


def test_the_table_counts() -> None:
    found = [
        Outcome("a", "Add", "accepted"),
        Outcome("b", "Add", "refused", "m.onnx: node 'y': no. Use Sub."),
        Outcome("c", "Abs", "wrong", "y differs"),
    ]
    lines = [" ".join(line.split()) for line in table(found).splitlines()]
    assert lines[1:] == ["Abs 0 0 1 y differs", "Add 1 1 0 no. Use Sub.", "all 1 1 1"]
