"""`mtlbench data check`: its exit code, what it prints, and that it keeps out of the user's folder."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_folder import SIZE, describe, describe_task, make_folder, save, write_list
from PIL import Image
from rich.console import Console

from mtlbench.cli.data import data_check_command
from mtlbench.cli.data_text import FEW, print_report
from mtlbench.data.check import check_folder
from mtlbench.errors import DataError, UsageError


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return make_folder(tmp_path / "made")


def state(root: Path) -> dict[str, tuple[int, int, str]]:
    """Of every file and folder: time of change, mode, content."""
    found = {}
    for path in [root, *root.rglob("*")]:
        stat = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (stat.st_mtime_ns, stat.st_mode, content)
    return found


def test_sound_data(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data_check_command(made, None, None) == 0
    printed = capsys.readouterr().out
    assert "no problems" in printed
    assert "60 x 40 (6)" in printed
    rows = [line.split() for line in printed.splitlines()]
    assert ["train", "3", "3", "3", "3", "3", "3", "0"] in rows
    assert ["ball", "16.67%", "6"] in rows
    with Image.open("data-check-made/contact-sheet.png") as sheet:
        assert sheet.width > 600


def test_the_file_itself_may_be_named(made: Path, tmp_path: Path) -> None:
    assert data_check_command(made / "dataset.yaml", tmp_path / "out", None) == 0
    assert (tmp_path / "out/contact-sheet.png").is_file()


def test_every_problem_is_printed(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (made / "images/a/1.png").write_bytes(b"")
    save(made / "labels/semseg/c/2.png", np.full(SIZE, 9, np.uint8))
    write_list(made, "val", ["b/1", "a/1"])
    assert data_check_command(made, None, None) == 2
    printed = capsys.readouterr().out
    assert "\n3 problems\n" in printed
    assert printed.startswith(f"made in {made}\n")
    lines = [line.strip() for line in printed.splitlines()]
    for place in ("images/a/1.png", "labels/semseg/c/2.png", "splits/val.txt:2"):
        assert place in lines
    assert Path("data-check-made/contact-sheet.png").is_file()


def test_a_broken_description_is_a_problem(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    describe(made, title=None, splits=None)
    assert data_check_command(made, None, None) == 2
    printed = capsys.readouterr().out
    assert printed.startswith(f"{made}\n\n2 problems\n")
    assert printed.splitlines().count("     dataset.yaml") == 2
    assert list(Path.cwd().iterdir()) == []


def test_many_places_are_cut_short_on_screen_and_whole_in_the_file(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stems = [f"x/{number}" for number in range(40)]
    write_list(made, "val", ["b/1", *stems])
    assert data_check_command(made, None, None) == 2
    printed = capsys.readouterr().out
    assert "1 problem at 40 places" in printed
    assert "1. A listed stem has no image (40 times).\n" in printed
    assert "     splits/val.txt:2  'x/0'\n" in printed
    assert "'x/2'\n     and 37 more\n" in printed
    assert "'x/3'" not in printed
    whole = Path("data-check-made/check.txt").read_text()
    assert all(repr(stem) in whole for stem in stems)
    assert "more" not in whole
    (made / "splits/val.txt").write_text("b/1\n" + stems[0])
    assert data_check_command(made, None, None) == 2
    assert "\n1 problem\n" in capsys.readouterr().out


def test_the_example_in_the_docs_is_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs/own-data.md").read_text()
    example = page.split("```text\n")[1].split("```")[0]
    root = tmp_path / "rooms"
    stems = [f"room{number // 4}/{number:06d}" for number in range(12)]
    for number, stem in enumerate(stems):
        save(root / f"images/{stem}.png", np.full((4, 4, 3), number, np.uint8))
        save(root / f"labels/saliency/{stem}.png", np.full((4, 4), 255 * (number % 2), np.uint8))
        if number % 2 == 0:
            save(root / f"labels/saliency/{stem}.png", np.array([[0, 255]] * 4, np.uint8).repeat(2, axis=1))
    for split, listed in {"train": stems[:8], "val": stems[8:10], "test": stems[10:]}.items():
        write_list(root, split, [f"{stem}.jpg" for stem in listed])
    describe_task(root, "saliency")
    assert data_check_command(root, tmp_path / "out", None) == 2
    assert example in capsys.readouterr().out


def test_sentences_are_wrapped_between_words_on_a_terminal(made: Path) -> None:
    save(made / "labels/semseg/a/1.png", np.full(SIZE, 3, np.uint8))
    console = Console(file=io.StringIO(), width=50, force_terminal=True, color_system=None, highlight=False)
    print_report(check_folder(made), console, FEW)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # it is the StringIO above
    start = next(place for place, line in enumerate(lines) if line.startswith("1. "))
    problem = lines[start:]
    assert max(map(len, problem)) <= 50
    assert all(line.startswith("   ") for line in problem[1:])
    words = " ".join(" ".join(problem).split())
    assert "neither a class (0 to 2) nor ignored. In dataset.yaml, below `semseg`:" in words


def test_names_are_text_and_no_commands_to_the_terminal(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    describe(
        made, tasks={"semseg": {"folder": "labels/semseg", "classes": ["[red]wall", "\x1b[31mfloor", "ball"]}}
    )
    assert data_check_command(made, None, None) == 0
    printed = capsys.readouterr().out
    assert "[red]wall" in printed
    assert "\x1b" not in printed


def test_names_that_are_no_text_can_be_printed(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open(os.fsencode(made / "images") + b"/\xff.png", "wb"):
        pass
    assert data_check_command(made, None, None) == 0
    assert "1 image in no list" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["check", ".", "images/check", "../made/check"])
def test_the_output_never_lies_inside_the_data(made: Path, name: str) -> None:
    before = state(made)
    with pytest.raises(UsageError, match="inside the data"):
        data_check_command(made, made / name, None)
    assert state(made) == before


def test_the_default_output_is_refused_there_too(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(made)
    monkeypatch.chdir(made)
    with pytest.raises(UsageError, match=r"inside the data.*--out"):
        data_check_command(Path(), None, None)
    assert state(made) == before


def test_links_do_not_hide_the_data(made: Path, tmp_path: Path) -> None:
    shutil.move(made / "images", tmp_path / "photos")
    (made / "images").symlink_to(tmp_path / "photos", target_is_directory=True)
    (tmp_path / "link").symlink_to(made, target_is_directory=True)
    before = state(tmp_path / "photos")
    for out in (tmp_path / "photos/check", tmp_path / "link/check"):
        with pytest.raises(UsageError, match="inside the data"):
            data_check_command(made, out, None)
    assert state(tmp_path / "photos") == before


def test_nothing_is_written_beside_the_data(made: Path, tmp_path: Path) -> None:
    before = state(made)
    assert data_check_command(made, None, None) == 0
    (made / "labels/depth/a/1.png").write_bytes(b"")
    broken = state(made)
    assert data_check_command(made, None, None) == 2
    assert state(made) == broken
    assert before.keys() == broken.keys()
    assert {path.name for path in tmp_path.iterdir()} == {"made", "work"}


def test_a_read_only_folder_can_be_checked(made: Path) -> None:
    paths = [made, *made.rglob("*")]
    for path in reversed(paths):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        before = state(made)
        assert data_check_command(made, None, None) == 0
        assert state(made) == before
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_place_where_nothing_can_be_written(made: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        data_check_command(made, tmp_path / "file/below", None)


def test_no_folder_and_no_limit(made: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        data_check_command(made / "nowhere", None, None)
    with pytest.raises(UsageError, match="leaves nothing to check"):
        data_check_command(made, None, 0)


def test_a_narrow_terminal_loses_no_number(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "COLUMNS", "60")
    assert data_check_command(made, None, None) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["train", "3", "3", "3", "3", "3", "3", "0"] in rows
