"""Options, the loop, checkpoints, and what is refused, each in one line."""

from __future__ import annotations

import copy
from math import nan

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_networks import Image, made, rows_for, train_steps

from mcuq import McuqError, train
from mcuq.compress.pipeline import compress_graph
from mcuq.compress.request import Request, parse
from mcuq.quantize.structure import weighted


class Refused(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.det(x.reshape(-1, 2, 2, 2))


@pytest.fixture(scope="module")
def prepared() -> train.Prepared:
    """The network of images with everything that has a schedule."""
    module = made(Image)
    module.drop.p = 0.0
    return train.prepare(
        module,
        rows_for(Image),
        prune=train.Prune("block:0.6", "cubic", 1, 6, 2),
        cluster=train.Cluster("cluster:4bit", 8),
        freeze=10,
    )


def test_its_parameters_are_those_of_the_module(prepared: train.Prepared) -> None:
    module = made(Image)
    own = {name for name, _ in prepared.named_parameters()}
    assert own == {name for name, _ in module.named_parameters()}
    fresh = copy.deepcopy(prepared)
    fresh.load_state_dict(module.state_dict())
    loaded = fresh.state_dict()
    assert all(torch.equal(loaded[name], v) for name, v in module.state_dict().items())


def test_training_goes_on_from_a_checkpoint(prepared: train.Prepared) -> None:
    """In the middle of the schedule of zeros, and again after the weights share values."""
    x = rows_for(Image)
    straight, broken = copy.deepcopy(prepared), copy.deepcopy(prepared)
    for part in (4, 5, 3):
        torch.manual_seed(part)
        train_steps(straight, x, part)
        again = copy.deepcopy(prepared)
        again.load_state_dict(broken.state_dict())
        torch.manual_seed(part)
        train_steps(again, x, part)
        broken = again
    first, second = straight.state_dict(), broken.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    graph = train.finish(straight)
    weights = graph.data("c4.weight")
    assert (weights == 0).mean() >= 0.59
    statistics = straight.b1.running_mean.clone()
    train_steps(straight, x, 1)
    assert torch.equal(statistics, straight.b1.running_mean)  # frozen since step 10


def test_training_rounds_as_the_integers_do(prepared: train.Prepared) -> None:
    """With statistics as they are, float32 moves few values of five layers over an edge."""
    x = rows_for(Image)
    fresh = copy.deepcopy(prepared)
    fresh.mcuq.step.fill_(100)
    trained = fresh(x).detach()
    fresh.eval()
    step = fresh.integer_graph().outputs[0].scale[0]
    gaps = ((trained - fresh(x)) / step).abs().numpy()
    assert gaps.max() <= 2
    assert (gaps < 0.5).mean() > 0.5


def test_what_is_wrong_is_said_in_a_line(prepared: train.Prepared) -> None:
    x = rows_for(Image)
    prepared.eval()
    labels = torch.zeros(len(x), dtype=torch.long)
    network = made(Image)
    cases = (
        (lambda: train.prepare(Refused(), torch.zeros(2, 8)), "not supported"),
        (lambda: train.prepare(network, torch.zeros(2, 3, 16, 16)), "Image"),
        (
            lambda: prepared(torch.zeros(2, 3, 16, 16)),
            r"shape \(N, 3, 8, 8\), not \(N, 3, 16, 16\)",
        ),
        (lambda: train.fit(network, x), "neither labels nor a teacher"),
        (lambda: train.fit(network, x, labels[:3]), "3 labels for 16 rows"),
        (lambda: train.fit(network, x, labels, learning_rate=1e30), "no longer a number in epoch"),
        (lambda: train.fit(made(Image), x, labels + 12), "labels do not suit the outputs"),
        (lambda: train.fit(made(Image), x, labels.float()), "labels do not suit the outputs"),
        (lambda: train.fit(made(Image), x, teacher=nn.Flatten()), "the teacher's outputs do not"),
        (lambda: train.fit(network, x.numpy(), labels), "no tensors"),  # type: ignore[arg-type]
        (lambda: train.fit(network, x[:0], labels[:0]), "no rows"),
        (lambda: train.fit(network, x.index_fill(0, torch.tensor(2), nan), labels), "row 2 holds"),
        (lambda: train.fit(network, x, labels, epochs=0), "epochs 0"),
        (lambda: train.accuracy(made(Image), x, labels[:3]), "3 labels for 16 rows"),
        (lambda: train.prepare(made(Image), x * nan), "row 0"),
        (lambda: train.prepare(made(Image), x, quantize=train.Quantize(bits=7)), "7 is not 8 or"),
        (lambda: train.prepare(made(Image), x, cluster="cluster:3bit"), "3bit"),
        (lambda: train.prepare(made(Image), x, prune="structured:0.5"), "mcuq.train.shrink"),
        (lambda: train.prepare(made(Image), x, prune={"nix*": "2:4"}), "nix"),
        (lambda: train.prepare(made(Image), x, freeze=-1), "freeze"),
        (lambda: train.shrink(made(Image), x, 1.5), "1.5"),
        (lambda: train.finish(network), "not what prepare returned"),
        (lambda: train.Prune("block:0.5", "square").share(0), "'square' is not one of"),
    )
    for call, message in cases:
        with pytest.raises(McuqError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_fit_learns_what_its_teacher_does() -> None:
    x, teacher = rows_for(Image, 64), made(Image).eval()
    student = made(Image, seed=5)
    losses = train.fit(student, x, teacher=teacher, epochs=6, learning_rate=3e-3)
    assert losses[-1] < losses[0]
    with torch.no_grad():
        labels = teacher(x).argmax(1)
    assert train.accuracy(teacher, x, labels) == 1.0


def test_shared_values_begin_as_compression_leaves_them() -> None:
    """Weights and biases make up for what the values cost: 2 bits are of use at once."""
    x = rows_for(Image, 64)
    prepared = train.prepare(made(Image), x, quantize=False, cluster="cluster:2bit", freeze=0)
    ready, feeds = prepared.plan.source.ready, prepared.plan.source.feeds
    wanted = compress_graph(ready, Request(parse("cluster:2bit")), feeds).graph
    prepared(x)
    found = train.finish(prepared)
    layers = [
        node
        for node in weighted(wanted)
        if not np.array_equal(wanted.data(node.inputs[1]), ready.data(node.inputs[1]))
    ]
    assert len(layers) >= 3
    for node in layers:
        for name in node.inputs[1:]:
            np.testing.assert_allclose(found.data(name), wanted.data(name), rtol=1e-4, atol=1e-5)
