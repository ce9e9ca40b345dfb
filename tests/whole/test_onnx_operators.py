"""The ``onnx`` package's own tests of its operators: what is accepted gives their results."""

from __future__ import annotations

from pathlib import Path

from benchmarks.onnx_operators import Outcome, outcomes, page, table

ACCEPTED = frozenset(
    """
    Abs Acos Acosh Add AffineGrid ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool
    BatchNormalization CausalConvWithState Ceil Celu CenterCropPad Clip Col2Im Compress Concat
    Conv ConvInteger ConvTranspose Cos Cosh CumProd CumSum DFT DepthToSpace DequantizeLinear
    Div Dropout Einsum Elu Equal Erf Exp Expand Flatten Floor GRU Gather GatherElements
    GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GridSample
    GroupNormalization HardSigmoid HardSwish Hardmax Identity InstanceNormalization LRN LSTM
    LayerNormalization LeakyRelu Less LessOrEqual LinearAttention Log LogSoftmax
    LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxUnpool Mean
    MeanVarianceNormalization Min Mish Mod Mul Neg OneHot PRelu Pad Pow QLinearConv
    QLinearMatMul RMSNormalization RNN Reciprocal ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu
    Reshape Resize ReverseSequence RotaryEmbedding Round Scan Scatter ScatterElements
    ScatterND Selu Shrink Sigmoid Sign Sin Sinh Slice Softmax Softplus Softsign SpaceToDepth
    Split Sqrt Squeeze Sub Sum SwiGLU Swish Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu
    Unsqueeze Upsample Where
    """.split()
)
"""Operators of which at least one case comes through."""


def test_nothing_accepted_is_wrong(tmp_path: Path) -> None:
    """Run ``python -m benchmarks.onnx_operators`` for the table."""
    found = list(outcomes(tmp_path))
    assert [o for o in found if o.state == "wrong"] == []
    accepted = {o.op for o in found if o.state == "accepted"}
    assert accepted >= ACCEPTED
    assert len(found) > 600


def test_the_table_counts() -> None:
    found = [
        Outcome("a", "Add", "accepted"),
        Outcome("b", "Add", "refused", "m.onnx: node 'y': no. Use Sub."),
        Outcome("c", "Abs", "wrong", "y differs"),
    ]
    lines = [" ".join(line.split()) for line in table(found).splitlines()]
    assert lines[1:] == ["Abs 0 0 1 y differs", "Add 1 1 0 no. Use Sub.", "all 1 1 1"]


def test_the_page_says_what_no_microcontroller_wants() -> None:
    found = [
        Outcome("a", "Add", "accepted"),
        Outcome("b", "Add", "refused", "m.onnx: node 'y': it computes with integers. Cast it."),
        Outcome("c", "Det", "refused", "m.onnx: node 'y': operator Det is not supported. No."),
        Outcome("d", "Pow", "accepted"),
    ]
    text = page(found)
    assert "**2 of 4 cases are accepted and right, 2 refused in one sentence, 0\nwrong.**" in text
    assert "Of the 3 that are static networks of reals 2 are accepted: 67 %" in text
    assert "| integers or truth values as data | 1 |" in text
    assert "| Det | 0 | 1 | 0 | operator Det is not supported. No. |" in text
    assert "| Pow | 1 | 0 | 0 |  |" in text
