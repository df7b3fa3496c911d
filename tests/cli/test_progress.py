"""Progress where there is no terminal."""

import pytest

from cli.progress import Lines, Silence


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines() as progress:
        progress.status("pulling manifest")
        progress.status("pulling manifest")
        for completed in (1, 500, 1000, 1000):
            progress.advance("pulling 0123", completed, 1000)
        progress.advance("pulling 4567", 5, 1000)
        progress.status("success")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "pulling manifest\npulling 0123: 100% 1 KB\nsuccess\n"


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    with Silence() as progress:
        progress.status("pulling manifest")
        progress.advance("pulling 0123", 1, 1)
    assert capsys.readouterr() == ("", "")
