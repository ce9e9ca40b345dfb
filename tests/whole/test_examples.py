"""The examples that no other test runs, with less of everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.emulated
@pytest.mark.slow
def test_the_word_is_heard_on_both_boards(tmp_path: Path) -> None:
    code = "import listen; listen.main('mai mia', vectors=1)"
    path = f"import sys; sys.path.insert(0, {str(EXAMPLES)!r}); "
    command = [sys.executable, "-c", path + code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "bit for bit" in lines[0]
    assert sum("tensors exact" in line for line in lines) == 2
    picture = ElementTree.parse(tmp_path / "build" / "listen" / "scores.svg").getroot()
    words = [e.text for e in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"loudness", "score of mia", "mai", "mia"} <= set(words)
