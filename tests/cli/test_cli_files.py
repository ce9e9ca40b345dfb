"""Files that a command is given: nothing that is read is written, every fault is one line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from commands import Done, run

import mcuq

DIGITS = Path(__file__).parents[2] / "examples" / "digits.onnx"
IMAGES = np.random.default_rng(0).uniform(0, 1, (12, 1, 8, 8)).astype(np.float32)
FAST = mcuq.Config(quantize={"effort": "fast"})


@dataclass
class Place:
    """A folder with a model, data and a compiled folder, in which commands run."""

    folder: Path
    patch: pytest.MonkeyPatch

    def run(self, *words: object) -> Done:
        return run(*words)

    def refused(self, *words: object) -> str:
        """The one line of a command that ends with 1 and leaves every file as it was."""
        before = contents(self.folder)
        done = self.run(*words)
        lines = [line for line in done.stderr.splitlines() if "%" not in line[:20]]
        assert done.returncode == 1, done.stderr
        assert len(lines) == 1, done.stderr
        assert contents(self.folder) == before
        return lines[0]


def contents(folder: Path) -> dict[str, bytes | str]:
    return {
        str(p): os.readlink(p) if p.is_symlink() else p.read_bytes() if p.is_file() else ""
        for p in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled") / "D"
    mcuq.compile(DIGITS, calibration=IMAGES, config=FAST).write(folder)
    return folder


@pytest.fixture
def place(
    compiled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    shutil.copytree(compiled, tmp_path / "D")
    shutil.copy(DIGITS, tmp_path / "m.onnx")
    np.savez(tmp_path / "g.npz", x=IMAGES, y=np.zeros(len(IMAGES), np.int64))
    (tmp_path / "c.toml").write_text("")
    os.link(tmp_path / "m.onnx", tmp_path / "hard.onnx")
    (tmp_path / "soft.onnx").symlink_to("m.onnx")
    os.link(tmp_path / "m.onnx", tmp_path / "hard.json")
    (tmp_path / "soft.npz").symlink_to("g.npz")
    (tmp_path / "soft.json").symlink_to("D/report.json")
    os.link(tmp_path / "D" / "report.json", tmp_path / "twin.json")
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path, monkeypatch)


COMPRESS = ("compress", "m.onnx", "--calib", "g.npz", "--compress", "structured:0.5")
RUN = ("run", "D", "--board", "mps2_an386", "--input", "g.npz:x")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("inspect", "m.onnx", "--json", "m.onnx"), "is not called .json"),
        (("inspect", "m.onnx", "--json", "hard.json"), "which the command uses already"),
        (("inspect", "m.onnx", "--json", "D/report.json"), "of the compiled folder"),
        ((*COMPRESS, "-o", "m.onnx"), "which the command uses already"),
        ((*COMPRESS, "-o", "./D/../m.onnx"), "which the command uses already"),
        ((*COMPRESS, "-o", "hard.onnx"), "which the command uses already"),
        ((*COMPRESS, "-o", "soft.onnx"), "which the command uses already"),
        ((*COMPRESS, "-o", "small.txt"), "is not called .onnx"),
        ((*COMPRESS, "-o", "n.onnx", "--checkpoint", "g.npz"), "which the command uses already"),
        ((*COMPRESS, "-o", "n.onnx", "--json", "soft.json"), "of the compiled folder"),
        ((*RUN, "-o", "g.npz"), "which the command uses already"),
        ((*RUN, "-o", "soft.npz"), "which the command uses already"),
        ((*RUN, "-o", "D/mcuq_model.npz"), "of the compiled folder"),
        (("check", "D", "--json", "D/report.json"), "of the compiled folder"),
        (("check", "D", "--json", "twin.json"), "which the command uses already"),
        (("check", "D", "--json", "D/digits.c"), "is not called .json"),
        (("check", "D", "--json", "g.npz"), "is not called .json"),
        (("bench", "D", "--json", "D/report.json"), "of the compiled folder"),
        (("eval", "D", "--data", "g.npz", "--json", "D/mcuq_model.npz"), "is not called .json"),
        (("eval", "D", "--data", "g.npz", "--json", "soft.json"), "of the compiled folder"),
        (("explain", "D", "--json", "D/report.json"), "of the compiled folder"),
        (("build", "D", "--board", "microbit", "-o", "D/kernels/mcuq_requant.h"), "as a folder"),
        (("compile", "D/mcuq_model.npz", "-o", "D"), "mcuq wrote into the folder"),
        (("compile", "m.onnx", "--calib", "g.npz", "-o", "m.onnx"), "is a file"),
        (("compile", "m.onnx", "--checkpoint", "m.onnx", "-o", "out"), "is not called .npz"),
        (("compile", "m.onnx", "--checkpoint", "new/c.npz", "-o", "new"), "the folder to write"),
    ],
)
def test_what_is_read_is_not_written(place: Place, words: tuple[str, ...], reason: str) -> None:
    assert reason in place.refused(*words)


def test_a_folder_of_another_kind_is_not_replaced(place: Place) -> None:
    """A package and pictures have manifests, too."""
    assert run("export", "D", "--to", "cmake", "-o", "P").returncode == 0
    assert run("report", "D", "--svg", "S").returncode == 0
    made = ("compile", "m.onnx", "--calib", "g.npz", "-o")
    for words in (
        ("report", "D", "--svg", "D"),
        ("report", "D", "--svg", "P"),
        ("export", "D", "--to", "cmake", "-o", "S"),
        (*made, "P"),
        (*made, "S"),
        ("retarget", "D", "--board", "microbit", "-o", "P"),
    ):
        assert "holds something else that mcuq wrote" in place.refused(*words)
    assert run("report", "D", "--svg", "S").returncode == 0


def test_external_weights_are_read_too(place: Place) -> None:
    import onnx

    model = onnx.load("m.onnx")
    onnx.save(model, "e.onnx", save_as_external_data=True, location="w.json", size_threshold=0)
    assert "w.json" in place.refused("inspect", "e.onnx", "--json", "w.json")


LONG = "a" * 300
ENDLESS = "holds more than 64.0 MiB"
FAULTS = [
    (("inspect", f"{LONG}.onnx"), "has a name that is too long"),
    (("inspect", "m.onnx", "--json", f"{LONG}.json"), "has a name that is too long"),
    (("inspect", "m.onnx", "--json", "."), "is no file"),
    (("inspect", "m.onnx", "--json", ""), "is no file"),
    (("inspect", "m.onnx", "--json", "g.npz/x.json"), "g.npz' is a file"),
    (("inspect", "m.onnx", "--json", "loop.json"), "a link that leads to itself"),
    (("inspect", "m.onnx", "--json", "/dev/full"), "No space left"),
    (("inspect", "g.npz/x.onnx"), "no such file"),
    (("inspect", "loop.onnx"), "no such file"),
    (("compile", "m.onnx", "--calib", "g.npz", "-o", "/"), "not written by mcuq"),
    (("compile", "m.onnx", "--calib", "g.npz", "-o", LONG), "has a name that is too long"),
    (("compile", "m.onnx", "--calib", "g.npz", "-o", "loop.json"), "leads to itself"),
    (("compile", "m.onnx", "--calib", "g.npz", "-o", "g.npz/out"), "g.npz' is a file"),
    (("compile", "m.onnx", "--calib", f"{LONG}.npz", "-o", "out"), "has a name that is too long"),
    (("compile", "m.onnx", "--calib", "D", "-o", "out"), "is a folder"),
    (("compile", "m.onnx", "--calib", "g.npz", "--config", "D", "-o", "out"), "D: is a folder"),
    (
        ("compile", "m.onnx", "--calib", "g.npz", "--config", "none.toml", "-o", "out"),
        "no such file",
    ),
    (("compile", "m.onnx", "--calib", "g.npz", "--board", "D.toml", "-o", "out"), "no such file"),
    (("compile", "m.onnx", "--calib", "g.npz", "--board", "d.toml", "-o", "out"), "is a folder"),
    (("boards", f"{LONG}.toml"), "has a name that is too long"),
    (("check", LONG), "has a name that is too long"),
    (("check", "loop.json"), "holds no mcuq_model.npz"),
    (("check", "m.onnx"), "holds no mcuq_model.npz"),
    (("eval", "D", "--data", f"{LONG}.npz"), "has a name that is too long"),
    (("eval", "D", "--data", "D"), "is a folder"),
    ((*RUN, "-o", f"{LONG}.npy"), "has a name that is too long"),
    (("build", "D", "--board", "microbit", "-o", f"D/{LONG}"), "has a name that is too long"),
    (("build", "D", "--board", "microbit", "-o", "m.onnx"), "as a folder"),
    (("compile", "m.onnx", "--calib", "g.npz", "--config", "/dev/zero", "-o", "out"), ENDLESS),
    (("boards", "zero.toml"), ENDLESS),
    (("verify", "D", "--baseline", "/proc/self/mem"), "cannot be used (Input/output error)"),
    (("verify", "D", "--config", "/proc/self/mem"), "cannot be used (Input/output error)"),
    (("sign", "g.npz", "--key", "/dev/zero", "-o", "out.bin"), "holds no weights"),
]


@pytest.mark.parametrize(("words", "reason"), FAULTS)
def test_a_file_that_cannot_be_used_is_one_line(
    place: Place, words: tuple[str, ...], reason: str
) -> None:
    for name in ("loop.json", "loop.onnx"):
        (place.folder / name).symlink_to(name)
    (place.folder / "d.toml").mkdir()
    (place.folder / "zero.toml").symlink_to("/dev/zero")
    assert reason in place.refused(*words)


def denied(patch: pytest.MonkeyPatch, name: str) -> None:
    """Let no file of this name be opened: root may read anything."""
    import io

    real = io.open

    def guarded(file: object, *given: object, **named: object) -> object:
        if str(file).endswith(name):
            raise PermissionError(13, "Permission denied", str(file))
        return real(file, *given, **named)

    patch.setattr("io.open", guarded)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("m.onnx", ("inspect", "m.onnx")),
        ("m.pt2", ("inspect", "m.pt2")),
        ("g.npz", ("compile", "m.onnx", "--calib", "g.npz", "-o", "out")),
        ("c.toml", ("compile", "m.onnx", "--config", "c.toml", "-o", "out")),
        ("c.toml", ("boards", "c.toml")),
        ("mcuq_model.npz", ("eval", "D", "--data", "g.npz")),
        ("mcuq_model.npz", ("check", "D")),
        ("digits.c", ("check", "D")),
        (".mcuq-files", ("check", "D")),
        (".mcuq-files", ("compile", "m.onnx", "-o", "D")),
        ("report.json", ("explain", "D")),
        ("k-1.npz", (*COMPRESS, "--recover", "1", "--checkpoint", "k.npz", "-o", "n.onnx")),
    ],
)
def test_permission_denied_is_not_called_damaged(
    place: Place, name: str, words: tuple[str, ...]
) -> None:
    for file in ("m.pt2", "k-1.npz"):
        (place.folder / file).write_bytes(b"")
    before = contents(place.folder)
    denied(place.patch, name)
    done = place.run(*words)
    place.patch.undo()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        f"{name}: permission denied. Change its permissions, or name another one."
    )
    assert contents(place.folder) == before


@pytest.mark.parametrize(
    "place_of",
    ["mcuq/ops/add.py", "templates/linker.ld.j2", "lib/python3/x.py", "tmp/mcuq-1/in.bin"],
)
def test_a_file_of_ours_is_our_bug(place: Place, place_of: str, tmp_path: Path) -> None:
    root = Path(mcuq.__file__).parents[1]
    place.patch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    place.patch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "lib"))
    path = (root if (root / place_of).exists() else tmp_path) / place_of

    def fails() -> None:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    place.patch.setattr("mcuq.cli.cli", fails)
    done = place.run("ops")
    assert done.returncode == 70
    assert "This is a bug in mcuq" in done.stderr


def test_json_to_a_device_a_pipe_and_a_link(place: Place) -> None:
    (place.folder / "device").symlink_to("/dev/null")
    (place.folder / "facts.json").write_text("old")
    (place.folder / "link.json").symlink_to("facts.json")
    for name in ("device", "/dev/stderr", "link.json"):
        assert place.run("inspect", "m.onnx", "--json", name).returncode == 0
    assert (place.folder / "device").is_char_device()
    assert (place.folder / "link.json").is_symlink()
    assert json.loads((place.folder / "facts.json").read_text())["macs"] > 0


@pytest.mark.parametrize("change", ["the manifest", "a file"])
def test_what_a_folder_lacks_is_named(place: Place, change: str) -> None:
    name = ".mcuq-files" if change == "the manifest" else "digits.h"
    (place.folder / "D" / name).unlink()
    line = place.refused("check", "D")
    assert name in line
    assert "version" not in line


def test_explain_keeps_the_folder_whole(place: Place) -> None:
    done = place.run("explain", "D")
    assert done.returncode == 0, done.stderr
    assert "explain" in json.loads((place.folder / "D" / "report.json").read_text())
    mcuq.load("D").write("D")
    (place.folder / "D" / "report.json").write_text("{}")
    assert "holds 'report.json', which was changed" in place.refused("explain", "D")


def test_a_current_folder_that_was_removed_is_one_line(place: Place) -> None:
    (place.folder / "gone").mkdir()
    place.patch.chdir(place.folder / "gone")
    (place.folder / "gone").rmdir()
    done = place.run("compile", place.folder / "m.onnx", "-o", "out")
    assert done.returncode == 1
    assert done.stderr == "the current folder: was removed. Change to another one.\n"


def test_a_command_that_reads_a_folder_repairs_it_first(place: Place) -> None:
    """As a killed process left it: one file moved aside, its successor not yet there."""
    before = contents(place.folder)
    journal = place.folder / "D" / ".mcuq-journal"
    journal.mkdir()
    old = hashlib.sha256((place.folder / "D" / "digits.c").read_bytes()).hexdigest()
    (place.folder / "D" / "digits.c").rename(journal / "old-0")
    (journal / "new-0").write_text("new")
    plan = {"steps": [["digits.c", old, "0" * 64]], "folders": []}
    (journal / "plan").write_text(json.dumps(plan))
    assert place.run("eval", "D", "--data", "g.npz").returncode == 0
    assert contents(place.folder) == before
