"""Images that are found in prompts."""

import time
from pathlib import Path

import pytest

from cli.chat.images import find_images, take_images
from cli.failure import CommandFailed

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
JPEG = b"\xff\xd8\xff\xe0" + bytes(20)
WEBP = b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is the user's home as well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my photos").mkdir()
    for name, content in (
        ("cat.png", PNG),
        ("dog.JPG", JPEG),
        ("my photos/it's (1).jpeg", JPEG),
        ("bird.webp", WEBP),
        ("text.png", b"no image"),
    ):
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("prompt", "rest", "images"),
    [
        ("What is this? ./cat.png", "What is this?", [PNG]),
        ("./cat.png what is this?", "what is this?", [PNG]),
        ("{folder}/cat.png: what?", ": what?", [PNG]),
        ("Compare ./cat.png and ~/dog.JPG.", "Compare  and .", [PNG, JPEG]),
        ("'{folder}/bird.webp'", "", [WEBP]),
        ('see "./cat.png", please', "see , please", [PNG]),
        (r"./my\ photos/it\'s\ \(1\).jpeg yes", "yes", [JPEG]),
        ("./my photos/it's (1).jpeg yes", "yes", [JPEG]),
        ('"./my photos/it\'s (1).jpeg" yes', "yes", [JPEG]),
        ("look in /etc and at ./cat.png", "look in /etc and at", [PNG]),
        ("not ./there.png but\n./cat.png", "not ./there.png but", [PNG]),
        ("twice ./cat.png ./cat.png", "twice", [PNG, PNG]),
        ("./cat.pngs and cat.png stay", "./cat.pngs and cat.png stay", []),
        ("~nobody-knows/cat.png", "~nobody-knows/cat.png", []),
        ("no path at all ", "no path at all ", []),
    ],
)
def test_found(folder: Path, prompt: str, rest: str, images: list[bytes]) -> None:
    assert take_images(prompt.format(folder=folder)) == (rest, images)


def test_a_file_that_is_no_image(folder: Path) -> None:
    with pytest.raises(CommandFailed, match=r"text\.png: it is no JPEG, PNG or WebP image"):
        take_images("read ./text.png")


def test_a_file_that_is_too_large(folder: Path) -> None:
    with (folder / "cat.png").open("r+b") as file:
        file.truncate(10**8 + 1)
    with pytest.raises(CommandFailed, match="larger than 100 MB"):
        take_images("./cat.png")


@pytest.mark.parametrize("word", ["./a.png ", "./a ", "'/a "])
def test_a_long_prompt_takes_no_time(word: str) -> None:
    start = time.process_time()
    assert list(find_images(word * (100_000 // len(word)) + "x.png")) == []
    assert time.process_time() - start < 5
