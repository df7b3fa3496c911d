"""Files that ask for more memory than any model explains."""

from pathlib import Path
from struct import pack

import pytest

from common.errors import InvalidModel, LoadFailed
from tests.services.registry.gguf.building import LLAMA, gguf
from workers.gguf.memory import LIMIT, LONGEST_ROW
from workers.gguf.process import convert_in_process, measure_in_process
from workers.gguf.reader import GgufFile


def write_endless_text(folder: Path) -> None:
    """A file whose only value is a text larger than the limit; the disk has a hole for it."""
    key = b"general.architecture"
    header = b"GGUF" + pack("<IQQQ", 3, 0, 1, len(key)) + key + pack("<IQ", 8, LIMIT)
    with (folder / "model.gguf").open("wb") as file:
        file.write(header)
        file.truncate(len(header) + LIMIT)


async def test_a_text_without_end(tmp_path: Path) -> None:
    write_endless_text(tmp_path)
    target = tmp_path / "target"
    target.mkdir()
    for work in (
        measure_in_process(tmp_path),
        convert_in_process(tmp_path, target, lambda *_: None),
    ):
        with pytest.raises(LoadFailed, match="that takes more than 4 GiB of memory"):
            await work
    assert not list(target.iterdir())


def test_a_row_without_end(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf(LLAMA, {"a.weight": ("F16", (LONGEST_ROW + 1, 1))}))
    with pytest.raises(InvalidModel, match=r"a\.weight has rows of 16777217 values"):
        GgufFile(file)
