"""Headers of GGUF files, good and hostile, read to be written again."""

import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gguf import GGUFReader, GGUFWriter

from common.errors import InvalidModel
from services.registry.quantize.gguf_header import read_gguf_header, write_gguf_header
from services.registry.quantize.source import Source, open_source
from tests.services.registry.quantize.weights import random_matrix
from tests.services.registry.running import Registry

START = b"GGUF" + struct.pack("<I", 3)


def make_file(path: Path, tokens: int) -> bytes:
    writer = GGUFWriter(path, "llama")
    writer.add_custom_alignment(64)
    writer.add_token_list([f"token {number} \u2581" for number in range(tokens)])
    writer.add_array("numbers", [1, 2, 3])
    writer.add_float64("epsilon", 1e-6)
    writer.add_bool("yes", True)
    writer.add_file_type(1)
    writer.add_tensor("a", random_matrix(3, 32, "F16"))
    writer.add_tensor("b", random_matrix(4, 32, "F32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


async def source(registry: Registry, content: bytes) -> AsyncIterator[Source]:
    blob = await registry.blobs.write(content)
    async with open_source(registry.blobs, blob.digest) as opened:
        yield opened


async def test_it_is_written_as_it_was(registry: Registry, tmp_path: Path) -> None:
    content = make_file(tmp_path / "x.gguf", tokens=100_000)  # more than is read at first
    async for opened in source(registry, content):
        header = await read_gguf_header(opened)
        assert header.alignment == 64
        assert [(it.name, it.shape, it.dtype) for it in header.tensors] == [
            ("a", (32, 3), "F16"),
            ("b", (32, 4), "F32"),
        ]
        assert write_gguf_header(header, {}) == content[: header.data_begin]


async def test_numbers_are_set_in_their_places(registry: Registry, tmp_path: Path) -> None:
    content = make_file(tmp_path / "x.gguf", tokens=10)
    async for opened in source(registry, content):
        header = await read_gguf_header(opened)
        numbers = {"general.file_type": 15, "general.quantization_version": 2}
        start = write_gguf_header(header, numbers)
        path = tmp_path / "changed.gguf"
        path.write_bytes(start + content[header.data_begin :])
        fields = GGUFReader(path).fields
        assert fields["general.file_type"].contents() == 15
        assert fields["general.quantization_version"].contents() == 2
        before = list(GGUFReader(tmp_path / "x.gguf").fields)
        assert list(fields) == [*before, "general.quantization_version"]


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (b"GGUX" + bytes(20), "not in GGUF format"),
        (b"GGUF", "the file ends within its header"),
        (START + struct.pack("<QQQ", 0, 1, 2**63), "a text of 9223372036854775808 bytes"),
        (START + struct.pack("<QQQ1sIIQ", 0, 1, 1, b"k", 9, 4, 2**62), "arrays have more than"),
        (
            START + struct.pack("<QQQ1sIQIQ", 1, 0, 1, b"t", 1, 32, 0, 2**40),
            "tensors expected, 0 found",
        ),
    ],
)
async def test_a_damaged_header(registry: Registry, damaged: bytes, message: str) -> None:
    async for opened in source(registry, damaged):
        with pytest.raises(InvalidModel, match=message):
            await read_gguf_header(opened)
