"""Constraints and tuning: structure is kept, and accuracy comes back."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import Net, images, residual_network

from mcuq.compress import recover as recovery
from mcuq.compress import schedule
from mcuq.compress.augment import Augment
from mcuq.compress.constraint import Constraint
from mcuq.compress.distill import Distillation
from mcuq.compress.recover import Settings, recover
from mcuq.compress.structured import prune_channels
from mcuq.compress.tuning import Student
from mcuq.errors import DataError, McuqError
from mcuq.ir import Graph, Tensor
from mcuq.ops.parts.weights import weight_fracs
from mcuq.quantize import Options, quantize
from mcuq.reference import outputs_of

CODES = np.array([[0, 1, 1], [2, 2, 3]])
ARRAY = np.array([[0.9, -0.2, 0.4], [2.0, 3.0, -1.0]], np.float32)
CASES = {
    "mask": (
        Constraint("mask", mask=np.array([[True, False, True], [False, True, True]])),
        [[0.9, 0, 0.4], [0, 3, -1]],
    ),
    "codes": (Constraint("codes", codes=CODES), [[0.9, 0.1, 0.1], [2.5, 2.5, -1]]),
    "codes and mask": (
        Constraint("codes", CODES * 0 + np.array([1, 0, 1]) > 0, CODES),
        [[0.9, 0, 0.4], [2, 0, -1]],
    ),
    "levels": (
        Constraint("levels", levels=np.array([[0.0, 1.0, -1.0], [-1.0, 2.0, 4.0]])),
        [[1, 0, 0], [2, 2, -1]],
    ),
    "levels of columns": (
        Constraint("levels", levels=np.array([[0.0], [1.0], [2.0]]), axis=1),
        [[0, 1, 2], [0, 1, 2]],
    ),
    "levels for all": (
        Constraint("levels", levels=np.array([[-1.0, 1.0]])),
        [[1, -1, 1], [1, 1, -1]],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_projected_array_obeys(name: str) -> None:
    constraint, expected = CASES[name]
    found = constraint.project(ARRAY)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(constraint.project(found), found)


def test_codes_move_between_values_that_stay() -> None:
    scale = np.array([[1.0], [2.0]]) * np.ones((2, 3))
    kept = Constraint("codes", mask=CODES != 0, codes=CODES, scale=scale)
    before = kept.project(ARRAY)
    moving = kept.moving(before)
    np.testing.assert_allclose(moving.project(before), before, rtol=1e-6)
    values = sorted(set((before / scale)[CODES != 0].tolist()))
    assert moving.levels is not None
    np.testing.assert_allclose(np.unique(moving.levels[1]), np.unique([0, *values]) * 2, rtol=1e-6)
    after = moving.project(before[:, ::-1])
    recoded = kept.recoded(before, after)
    assert recoded.codes is not None
    assert not np.array_equal(recoded.codes, CODES)
    table = np.array([0.0, before[0, 1], before[1, 0] / 2, before[1, 2] / 2])
    np.testing.assert_allclose((table[recoded.codes] * scale)[CODES != 0], after[CODES != 0])


@pytest.mark.parametrize("name", CASES)
def test_the_constant_follows_from_its_free_numbers(name: str) -> None:
    constraint, expected = CASES[name]
    free = torch.from_numpy(constraint.free(ARRAY)).requires_grad_()
    value = constraint.parametrise()(free)
    np.testing.assert_allclose(value.detach().numpy(), expected, rtol=1e-6)
    value.sum().backward()
    assert free.grad is not None
    counted = np.ones(ARRAY.shape) if constraint.mask is None else constraint.mask
    assert float(free.grad.sum()) == float(np.sum(counted))


ROWS = {"x": images(160)}
QUICK = Settings(epochs=3, learning_rate=0.02, batch=16)


def network() -> Graph:
    net = Net((1, 8, 8, 3))
    x = net.conv(net.depthwise(net.conv("x", 8)), 12, kernel=1)
    return net.graph(net.node("softmax", net.dense(net.pool(x), 4)))


def pruned(graph: Graph) -> Graph:
    return prune_channels(graph, 0.4, importance="magnitude", scope="layer")


def constants(graph: Graph) -> dict[str, np.ndarray]:
    return {n: t.data for n, t in graph.tensors.items() if t.data is not None}


def same(one: Graph, other: Graph) -> bool:
    pairs = zip(constants(one).values(), constants(other).values(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def distance(graph: Graph, teacher: Graph) -> float:
    """Of the shares of classes on rows that nobody learned from."""
    feeds = {"x": images(100, seed=9)}
    one, other = (outputs_of(g, feeds)[g.outputs[0].name] for g in (graph, teacher))
    return float(np.mean((one - other) ** 2))


@pytest.mark.parametrize("quantized", [False, True])
def test_the_teacher_brings_accuracy_back(quantized: bool) -> None:
    teacher = network()
    small = pruned(teacher)
    found = recover(small, teacher, ROWS, settings=replace(QUICK, epochs=8, quantized=quantized))
    assert min(found.losses) < 0.5 * found.losses[0]
    assert distance(found.graph, teacher) < 0.5 * distance(small, teacher)
    assert found.warnings == ()


@pytest.mark.parametrize("change", [{"precision": "bfloat16"}, {"hints": 1.0}])
def test_other_ways_to_tune_work(change: dict[str, Any]) -> None:
    teacher = network()
    small = prune_channels(teacher, 0.3, importance="magnitude", only="conv2d_0")
    found = recover(small, teacher, ROWS, settings=replace(QUICK, epochs=6, **change))
    assert min(found.losses) < 0.6 * found.losses[0]


def test_hints_are_activations_of_one_shape() -> None:
    teacher = network()
    small = prune_channels(teacher, 0.3, importance="magnitude", only="conv2d_2")
    loss = Distillation(small, teacher, None, 1, 0.0, 1.0)
    assert loss.wanted == (("dense_5", "conv2d_0", "depthwise_conv2d_1"),) * 2


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(McuqError, match="'int4' is not one of float32, bfloat16"):
        recover(network(), network(), ROWS, settings=Settings(precision="int4"))


def test_regression_needs_no_classes() -> None:
    net = Net((1, 8, 8, 3))
    teacher = net.graph(net.dense(net.pool(net.conv(net.conv("x", 8), 12)), 4))
    small = prune_channels(teacher, 0.5, importance="magnitude")
    found = recover(small, teacher, ROWS, settings=replace(QUICK, epochs=8))
    assert min(found.losses) < 0.5 * found.losses[0]


def test_labels_teach_what_the_teacher_does_not_know() -> None:
    teacher = network()
    x = images(600)
    labels = (x[..., 0].mean((1, 2)) > 0).astype(np.uint8)
    settings = replace(QUICK, epochs=10, trust=1.0)
    found = recover(teacher, teacher, {"x": x[:500]}, labels[:500], settings=settings)
    output = outputs_of(found.graph, {"x": x[500:]})[teacher.outputs[0].name]
    assert float(np.mean(output.argmax(1) == labels[500:])) > 0.9


def test_the_same_seed_gives_the_same_bits() -> None:
    teacher = network()
    small = pruned(teacher)
    one, two, other = (
        recover(small, teacher, ROWS, settings=replace(QUICK, seed=s)).graph for s in (1, 1, 2)
    )
    assert same(one, two)
    assert not same(one, other)


def test_nothing_changes_in_no_epochs() -> None:
    teacher = network()
    found = recover(teacher, teacher, ROWS, settings=replace(QUICK, epochs=0))
    for name, data in constants(found.graph).items():
        np.testing.assert_allclose(data, constants(teacher)[name], rtol=1e-5)


class Interrupted(Exception):
    pass


def interrupt(after: int) -> Callable[[str, float], None]:
    """Progress that stops everything when it is called for the ``after``-th time."""
    calls = 0

    def report(text: str, share: float) -> None:
        nonlocal calls
        calls += 1
        if calls == after:
            raise Interrupted

    return report


@pytest.mark.parametrize("way", ["normalize", "quantized"])
@pytest.mark.parametrize("after", [1, 4, 14, 25])
def test_an_interrupted_run_ends_in_the_same_bits(
    after: int, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "SAVE_SECONDS", 0.0)
    teacher = network()
    small = pruned(teacher)
    settings = replace(QUICK, augment=Augment(flip=True, shift=1), **{way: True})
    whole = recover(small, teacher, ROWS, settings=settings)
    file = tmp_path / "tuning.npz"
    with pytest.raises(Interrupted):
        recover(small, teacher, ROWS, checkpoint=file, report=interrupt(after), settings=settings)
    resumed = recover(small, teacher, ROWS, checkpoint=file, settings=settings)
    assert same(whole.graph, resumed.graph)
    assert whole.losses == resumed.losses
    assert [path.name for path in tmp_path.iterdir()] == ["tuning.npz"]


def test_a_finished_run_is_read_from_its_checkpoint(tmp_path: Path) -> None:
    teacher = network()
    file = tmp_path / "new" / "tuning.npz"
    first = recover(pruned(teacher), teacher, ROWS, checkpoint=file, settings=QUICK)
    calls: list[float] = []
    again = recover(
        pruned(teacher), teacher, ROWS, checkpoint=file, settings=QUICK,
        report=lambda text, share: calls.append(share),
    )  # fmt: skip
    assert same(first.graph, again.graph)
    assert calls == [1.0]


def test_a_checkpoint_belongs_to_one_run(tmp_path: Path) -> None:
    teacher = network()
    file = tmp_path / "tuning.npz"
    recover(teacher, teacher, ROWS, checkpoint=file, settings=replace(QUICK, epochs=1))
    with pytest.raises(DataError, match="of another network, other data or other settings"):
        recover(teacher, teacher, ROWS, checkpoint=file, settings=replace(QUICK, seed=1))
    with np.load(file) as stored:
        arrays = {name: array * (name != "now_0") for name, array in stored.items() if array.shape}
        own = {name: array for name, array in stored.items() if not array.shape}
    np.savez(file, **arrays, **own)
    with pytest.raises(DataError, match="was changed since mcuq wrote it"):
        recover(teacher, teacher, ROWS, checkpoint=file, settings=replace(QUICK, epochs=1))
    with zipfile.ZipFile(broken := tmp_path / "broken.npz", "w") as archive:
        header = b"{'descr': '<i8', 'shape': (1,), } ape': (1,), }\n"
        archive.writestr("run.npy", b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header)
    for content in (b"nonsense", broken.read_bytes()):
        file.write_bytes(content)
        with pytest.raises(DataError, match="no checkpoint that can be read"):
            recover(teacher, teacher, ROWS, checkpoint=file, settings=QUICK)


def masked_and_clustered(graph: Graph) -> dict[str, Constraint]:
    """A mask, codes behind a mask, and powers of two, for the layers of ``network``."""
    chance = np.random.default_rng(0)
    w0, w2 = graph.data("w0"), graph.data("w2")
    levels = np.array([[s * 2.0**-k for s in (-1, 1) for k in range(1, 8)]])
    return {
        "w0": Constraint("mask", chance.random(w0.shape) < 0.5),
        "w2": Constraint("codes", chance.random(w2.shape) < 0.5, chance.integers(0, 16, w2.shape)),
        "w5": Constraint("levels", levels=levels),
    }


@pytest.mark.parametrize("quantized", [False, True])
def test_structure_survives(quantized: bool) -> None:
    teacher = network()
    constraints = masked_and_clustered(teacher)
    start = projected(teacher, constraints)
    settings = replace(QUICK, epochs=6, learning_rate=0.05, quantized=quantized)
    found = recover(start, teacher, ROWS, constraints=constraints, settings=settings)
    assert min(found.losses) < 0.7 * found.losses[0]
    for name, constraint in constraints.items():
        data = found.graph.data(name)
        assert not np.array_equal(data, start.data(name))
        np.testing.assert_array_equal(constraint.project(data), data)
    quantize(found.graph, ROWS, Options("fast"))


def projected(graph: Graph, constraints: dict[str, Constraint]) -> Graph:
    changed = {
        name: Tensor(name, graph.shape(name), constraint.project(graph.data(name)))
        for name, constraint in constraints.items()
    }
    return replace(graph, tensors={**graph.tensors, **changed})


def test_a_layer_of_zeros_stays_one() -> None:
    teacher = network()
    constraints = {"w2": Constraint("mask", np.zeros(teacher.shape("w2"), bool))}
    start = projected(teacher, constraints)
    found = recover(start, teacher, ROWS, constraints=constraints, settings=QUICK)
    assert not found.graph.data("w2").any()


def test_no_number_stops_and_keeps_the_best_state() -> None:
    teacher = network()
    small = pruned(teacher)
    found = recover(small, teacher, ROWS, settings=replace(QUICK, learning_rate=1e30))
    assert found.warnings == (
        "recovery stopped in epoch 1: the loss is no longer a number; the best state before is "
        "kept. Choose a lower learning rate",
    )
    assert distance(found.graph, teacher) <= distance(small, teacher) * 1.001


def test_tuning_stops_when_nothing_gets_better() -> None:
    teacher = network()
    settings = replace(QUICK, epochs=50, learning_rate=1e-9, patience=2)
    assert len(recover(teacher, teacher, ROWS, settings=settings).losses) < 10


def normalized_student() -> Student:
    graph = network()
    constraints = masked_and_clustered(graph)
    for name, constraint in constraints.items():
        data = constraint.project(graph.data(name))
        graph = replace(graph, tensors={**graph.tensors, name: Tensor(name, data.shape, data)})
    return Student(graph, ["dense_5"], constraints, ROWS, quantized=False, normalized=True)


def test_batch_normalization_starts_as_the_identity() -> None:
    student = normalized_student()
    exact = outputs_of(student.graph, ROWS)
    student.observe()
    found = outputs_of(student.finished(), ROWS)
    for name, values in exact.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4)


def test_folded_batch_normalization_computes_the_same() -> None:
    student = normalized_student()
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in student.parameters:
            parameter.mul_(torch.rand(parameter.shape, generator=chance) + 0.5)
    student.observe()
    trained, folded = (run(ROWS)["dense_5"].detach() for run in (student.train, student.run))
    np.testing.assert_allclose(folded.numpy(), trained.numpy(), atol=1e-4)
    finished = student.finished()
    for name, constraint in masked_and_clustered(student.graph).items():
        data = finished.data(name)
        np.testing.assert_allclose(constraint.project(data), data, rtol=1e-6)


def test_rounded_weights_are_what_the_quantizer_would_round() -> None:
    graph = network()
    student = Student(graph, ["dense_5"], {}, ROWS, quantized=True)
    student.observe()
    values = {n: v.detach().numpy() for n, v in student._constants(True).items()}
    exact = {n: v.detach().numpy() for n, v in student._constants(False).items()}
    for name, axis in (("w0", 0), ("w1", 2), ("w5", 0)):
        data = exact[name]
        shape = [-1 if i == axis else 1 for i in range(data.ndim)]
        scale = 2.0 ** np.array(weight_fracs(data, axis)).reshape(shape)
        np.testing.assert_array_equal(values[name], np.floor(data * scale + 0.5) / scale)


@pytest.mark.parametrize(
    ("data", "labels", "constraint", "line"),
    [
        ({}, None, "w0", "small: recovery needs typical inputs to learn from, 0 rows are given. "
            "Give at least 8, better thousands."),
        (ROWS, np.zeros(3, int), "w0", "labels: 3 labels for 160 rows."),
        (ROWS, np.full(160, 4), "w0", "labels: class 4 where the network has 4 classes. "
            "Number the classes from 0 as the network does."),
        (ROWS, np.full(160, -1), "w0", "labels: class -1 where the network has 4 classes. "
            "Number the classes from 0 as the network does."),
        (ROWS, None, "w9", "small: has no constant 'w9' to constrain."),
    ],
)  # fmt: skip
def test_bad_requests_get_one_line(
    data: dict[str, np.ndarray], labels: np.ndarray | None, constraint: str, line: str
) -> None:
    graph = network()
    constraints = {constraint: Constraint("mask", np.ones(graph.shape("w0"), bool))}
    with pytest.raises(McuqError) as caught:
        recover(graph, graph, data, labels, constraints=constraints)
    assert str(caught.value) == line


def test_a_student_needs_the_outputs_of_its_teacher() -> None:
    with pytest.raises(McuqError, match="has other outputs than its teacher"):
        recover(residual_network(), network(), ROWS)


def test_images_are_moved_and_mirrored() -> None:
    row = np.arange(4, dtype=np.float32)
    image = np.broadcast_to(row[None, None, :, None], (64, 4, 4, 1))
    moved = Augment(flip=True, shift=1)({"x": image, "other": row}, np.random.default_rng(0))
    found = {tuple(r) for r in moved["x"][:, 0, :, 0].astype(int).tolist()}
    ways = {(0, 1, 2, 3), (0, 0, 1, 2), (1, 2, 3, 3)}
    assert found == ways | {way[::-1] for way in ways}
    assert moved["other"] is row
    np.testing.assert_array_equal(Augment()({"x": image}, np.random.default_rng(0))["x"], image)


def test_half_of_a_batch_is_mixed() -> None:
    image = np.arange(9, dtype=np.float32)[:, None, None, None] * np.ones((1, 8, 8, 2), np.float32)
    mix = Augment(mix=True)
    mixed = mix({"x": image}, np.random.default_rng(0))["x"]
    assert mix.labelled(9) == 5
    np.testing.assert_array_equal(mixed[:5], image[:5])
    for row in range(5, 9):
        assert set(mixed[row].reshape(-1).tolist()) <= {row, row - 1}
    assert (mixed[5:] != image[5:]).any()


@pytest.mark.parametrize("name", schedule.POWERS)
def test_a_schedule_ends_at_its_target(name: str) -> None:
    found = schedule.amounts(name, 0.8, 5)
    assert found[-1] == 0.8
    assert list(found) == sorted(found)


def test_gradual_pruning_takes_what_is_left() -> None:
    left, before = 1.0, 0.0
    for amount in schedule.amounts("cubic", 0.9, 4):
        left *= 1 - schedule.further(before, amount)
        before = amount
    assert left == pytest.approx(0.1)


def test_unknown_schedules_are_refused() -> None:
    with pytest.raises(McuqError, match="'steep' is not one of constant, linear"):
        schedule.amounts("steep", 0.5, 3)
    with pytest.raises(McuqError, match="0 steps"):
        schedule.amounts("cubic", 0.5, 0)
