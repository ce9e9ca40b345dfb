"""Output folders and files: whole or not at all, and never over what is the user's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mcuq import files
from mcuq.errors import McuqError
from mcuq.files import (
    MANIFEST,
    MARK,
    add_files,
    check_replaceable,
    put_files,
    write_file,
    write_folder,
    written_files,
)

FILES = {MARK: b"model", "net.c": b"net", "kernels/k.c": b"k"}


def test_the_manifest_is_what_sha256sum_reads_and_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_folder(tmp_path / name, FILES)
    text = (tmp_path / "a" / MANIFEST).read_bytes()
    assert text == (tmp_path / "b" / MANIFEST).read_bytes()
    done = subprocess.run(
        ["sha256sum", "--strict", "-c", MANIFEST],
        cwd=tmp_path / "a",
        capture_output=True,
        text=True,
    )
    assert done.stdout == "kernels/k.c: OK\nmcuq_model.npz: OK\nnet.c: OK\n"


def test_a_copy_without_its_manifest_is_the_users(tmp_path: Path) -> None:
    """As ``cp -r out/* fw/`` makes it."""
    write_folder(tmp_path / "out", FILES)
    shutil.copytree(tmp_path / "out", tmp_path / "fw", ignore=shutil.ignore_patterns(".*"))
    (tmp_path / "fw" / "main.c").write_text("mine")
    with pytest.raises(McuqError, match=r"fw: holds 'kernels' but no \.mcuq-files"):
        write_folder(tmp_path / "fw", FILES)
    assert (tmp_path / "fw" / "main.c").read_text() == "mine"
    with pytest.raises(McuqError, match=r"fw: holds no \.mcuq-files.*hidden files"):
        written_files(tmp_path / "fw")


@pytest.mark.parametrize("name", ["net.c", "kernels/k.c", MARK])
def test_a_generated_file_that_was_changed_is_the_users(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path / "out", FILES)
    (tmp_path / "out" / name).write_bytes(b"tuned by hand")
    with pytest.raises(McuqError, match=f"holds '{name}', which was changed since mcuq wrote it"):
        check_replaceable(tmp_path / "out")
    with pytest.raises(McuqError, match=f"holds '{name}'"):
        write_folder(tmp_path / "out", {**FILES, "net.c": b"2"})
    assert (tmp_path / "out" / name).read_bytes() == b"tuned by hand"


def in_the_way(out: Path, kind: str) -> str:
    """Put something else to where ``net.c`` or ``kernels`` is, or is to come; its name."""
    if kind == "a link to a folder":
        shutil.rmtree(out / "kernels")
        (out.parent / "else").mkdir()
        (out.parent / "else" / "k.c").write_bytes(b"k")
        (out / "kernels").symlink_to(out.parent / "else")
        return "kernels"
    if kind == "a file for a folder":
        (out / "more").write_bytes(b"")
        return "more"
    place = out / "fresh.c"
    if kind == "a folder":
        place.mkdir()
    elif kind == "a pipe":
        os.mkfifo(place)
    elif kind == "a dangling link":
        place.symlink_to("nothing")
    else:
        place.write_bytes(b"mine")
    return "fresh.c"


@pytest.mark.parametrize(
    "kind",
    [
        "a file",
        "a folder",
        "a pipe",
        "a dangling link",
        "a link to a folder",
        "a file for a folder",
    ],
)
def test_what_is_in_the_way_is_named_and_stays(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    write_folder(out, FILES)
    name = in_the_way(out, kind)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(McuqError, match=f"holds '{name}' of yours, where mcuq would write a file"):
        write_folder(out, {**FILES, "fresh.c": b"f", "more/m.c": b"m", "kernels/k.c": b"2"})
    assert sorted(tmp_path.rglob("*")) == before
    assert (out / "net.c").read_bytes() == b"net"


def test_a_file_that_stays_the_same_is_not_touched(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", FILES)
    os.utime(tmp_path / "out" / "net.c", (1, 1))
    write_folder(tmp_path / "out", {**FILES, "kernels/k.c": b"2"})
    assert (tmp_path / "out" / "net.c").stat().st_mtime == 1
    (tmp_path / "out" / "net.c").unlink()
    write_folder(tmp_path / "out", {**FILES, "kernels/k.c": b"2"})
    assert (tmp_path / "out" / "net.c").read_bytes() == b"net"


def test_files_that_are_added_belong_to_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, FILES)
    add_files(out, {"selftest/b/i.hex": b"1", "net.c": b"2"})
    (out / "selftest" / "mine.txt").write_bytes(b"mine")
    assert set(written_files(out)) == set(FILES)
    add_files(out, {"selftest/b/i.hex": b"2"})
    write_folder(out, FILES)
    assert not (out / "selftest" / "b").exists()
    assert (out / "selftest" / "mine.txt").read_bytes() == b"mine"


def test_files_put_into_a_users_folder_are_written_all_or_none(tmp_path: Path) -> None:
    put_files(tmp_path, {"a.elf": b"1", "b.hex": b"1"})
    (tmp_path / "b.hex").unlink()
    (tmp_path / "b.hex").mkdir()
    with pytest.raises(McuqError, match=r"holds 'b\.hex' of yours"):
        put_files(tmp_path, {"a.elf": b"2", "b.hex": b"2"})
    assert (tmp_path / "a.elf").read_bytes() == b"1"
    assert sorted(os.listdir(tmp_path)) == ["a.elf", "b.hex"]


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\n",
        b"net.c\n",
        b"0  net.c\n",
        b"%s  ../net.c\n" % (b"0" * 64),
        b"%s  \n" % (b"0" * 64),
    ],
)
def test_a_manifest_that_is_none_says_so(tmp_path: Path, text: bytes) -> None:
    write_folder(tmp_path / "out", FILES)
    (tmp_path / "out" / MANIFEST).write_bytes(text)
    for refuse in (check_replaceable, written_files):
        with pytest.raises(McuqError, match=r"\.mcuq-files: is damaged or of another version"):
            refuse(tmp_path / "out")


def test_what_cannot_be_made_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_replaceable(tmp_path / "new" / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(McuqError, match="file' is a file"):
        check_replaceable(tmp_path / "file" / "out")
    with pytest.raises(McuqError, match="file: is a file"):
        check_replaceable(tmp_path / "file")
    with pytest.raises(McuqError, match=r"^/: holds '.*' but no"):
        check_replaceable(Path("/"))
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)  # root may write anywhere
    with pytest.raises(McuqError, match="is read-only"):
        check_replaceable(tmp_path / "new" / "out")


def test_the_current_folder_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell in it stays in it."""
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    number = Path.cwd().stat().st_ino
    for content in (b"1", b"2"):
        write_folder(Path(), {MARK: content})
    assert Path("../in").stat().st_ino == number
    assert Path(MARK).read_bytes() == b"2"
    with pytest.raises(McuqError, match="holds 'in' but no"):
        write_folder(Path(".."), {MARK: b"new"})


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for content in (b"1", b"2"):
        write_folder(tmp_path / "link", {MARK: content})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / MARK).read_bytes() == b"2"


def test_a_file_is_written_through_a_link_and_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "real").chmod(0o600)
    (tmp_path / "link").symlink_to("real")
    write_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "real").stat().st_mode == 0o100600
    assert sorted(os.listdir(tmp_path)) == ["link", "real"]


def test_a_name_as_long_as_the_system_allows_can_be_written(tmp_path: Path) -> None:
    write_file(tmp_path / ("a" * 250 + ".json"), b"new")
    assert os.listdir(tmp_path) == ["a" * 250 + ".json"]


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_file(pipe, b"new")
    reader.join()
    assert found == [b"new"]
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["/dev/null", "/dev/full"])
def test_a_device_is_written_to(tmp_path: Path, name: str) -> None:
    """By way of a link: a fault may cost this link, not the device."""
    (tmp_path / "device").symlink_to(name)
    if name == "/dev/null":
        write_file(tmp_path / "device", b"new")
    else:
        with pytest.raises(OSError, match="No space left") as caught:
            write_file(tmp_path / "device", b"new")
        assert caught.value.filename == str(tmp_path / "device")
    assert os.readlink(tmp_path / "device") == name
    assert Path(name).is_char_device()


def test_standard_output_in_a_file_goes_on_where_it_is(tmp_path: Path) -> None:
    code = (
        "from mcuq.files import write_file; from pathlib import Path\n"
        "print('before'); write_file(Path('/dev/stdout'), b'new\\n'); print('after')"
    )
    with (tmp_path / "log").open("wb") as log:
        subprocess.run([sys.executable, "-c", code], stdout=log, check=True)
    assert (tmp_path / "log").read_text() == "before\nnew\nafter\n"


@pytest.mark.parametrize("name", [*FILES, MANIFEST, "../link.json", "../to/net.c"])
def test_a_file_of_a_compiled_folder_is_not_written_by_its_name(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path / "out", FILES)
    (tmp_path / "link.json").symlink_to("out/net.c")
    (tmp_path / "to").symlink_to("out")
    with pytest.raises(McuqError, match="is a file of the compiled folder"):
        write_file(tmp_path / "out" / name, b"new")
    write_file(tmp_path / "out" / "mine.json", b"new")


def test_no_temporary_folder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: [str(tmp_path / "none")])
    with (
        pytest.raises(McuqError, match=r"^TMPDIR: No usable temporary directory"),
        files.temporary(),
    ):
        pass


def test_what_a_killed_process_left_is_swept_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "mcuq-of-a-user").mkdir()
    code = (
        "import os, signal; from mcuq import files\n"
        "with files.temporary(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert len(list(tmp_path.iterdir())) == 2
    with files.temporary() as first, files.temporary() as second:
        kept = {tmp_path / "mcuq-of-a-user", first, second}
        assert set(tmp_path.iterdir()) == kept
    assert list(tmp_path.iterdir()) == [tmp_path / "mcuq-of-a-user"]
