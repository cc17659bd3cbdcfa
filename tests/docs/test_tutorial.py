"""The tutorial, followed word for word in an empty folder."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mtlbench.__main__ import main

PAGE = (Path(__file__).parents[2] / "docs/tutorial.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.slow
def test_the_tutorial(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # One short launch instead of six, one epoch instead of four: less certain numbers, the same steps.
    quick = {
        "launches: 6": "launches: 1, requeue: 0, profile: false",
        "max_seconds: 2, warmup_max_seconds: 1": "max_seconds: 0.3, warmup_max_seconds: 0.2",
        "epochs: 4": "epochs: 1",
    }
    suite = blocks("yaml")[0]
    for written, shorter in quick.items():
        assert written in suite
        suite = suite.replace(written, shorter)
    Path("rooms.yaml").write_text(suite)
    for block in blocks("sh"):
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "mtlbench"
            assert main(arguments) == 0, line
    assert Path("reports/rooms/index.html").stat().st_size > 10_000
    done = subprocess.run(
        [sys.executable, "-c", blocks("python")[0]], capture_output=True, text=True, timeout=60, check=True
    )
    saved = re.search(r"saves (\d+)% of the MACs", done.stdout)
    # Two encoders and two heads against one encoder and two heads: never more than half.
    assert 0 < int(saved[1]) <= 50
    capsys.readouterr()


def test_the_typo_of_the_tutorial_is_explained(tmp_path, capsys):
    assert "`arch: nona`" in PAGE
    path = tmp_path / "rooms.yaml"
    path.write_text(blocks("yaml")[0].replace("arch: nano", "arch: nona"))
    assert main(["validate", str(path)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "rooms.yaml:6:" in said
    assert "nano" in said
