import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFEndian, GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import InvalidModel
from services.registry.gguf.cursor import MAX_HEADER_SIZE, Incomplete
from services.registry.gguf.header import Header, is_gguf, parse_header, parse_start
from services.registry.gguf.values import MAX_ELEMENTS, Array
from tests.services.registry.gguf.building import LLAMA, TENSORS, Place, Raw, gguf, text

FILE = gguf()


def parse(content: bytes, *, keep: bool = False, file_size: int | None = None) -> Header:
    return parse_header(content, file_size or len(content), lambda _: keep)


def test_a_file() -> None:
    header = parse(FILE)
    assert header.metadata["general.architecture"] == "llama"
    assert header.metadata["llama.context_length"] == 2048
    assert header.metadata["llama.rope.freq_base"] == 10000.0
    assert header.metadata["tokenizer.ggml.add_bos_token"] is True
    assert header.metadata["tokenizer.ggml.tokens"] == Array(3, None)
    assert [it.name for it in header.tensors] == list(TENSORS)
    found = {it.name: (it.dtype, it.shape, it.elements, it.size) for it in header.tensors}
    assert found["token_embd.weight"] == ("Q4_K", (256, 32), 8192, 4608)
    assert found["blk.0.attn_norm.weight"] == ("F32", (256,), 256, 1024)
    assert found["output.weight"] == ("F16", (256, 32), 8192, 16384)


def test_arrays_are_given_on_demand() -> None:
    metadata = parse(FILE, keep=True).metadata
    assert metadata["tokenizer.ggml.tokens"] == Array(3, ("<s>", "a", "b"))
    assert metadata["tokenizer.ggml.token_type"] == Array(3, (3, 1, 1))


def test_what_another_writer_made(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "x.gguf", "qwen2")
    values: dict[str, Any] = {
        "uint8": 200, "int8": -5, "uint16": 60_000, "int16": -30_000, "uint32": 2**32 - 1,
        "int32": -(2**31), "uint64": 2**64 - 1, "int64": -(2**63), "float32": 0.5,
        "float64": 1e300, "bool": False, "string": "Grüezi",
    }  # fmt: skip
    for kind, value in values.items():
        getattr(writer, f"add_{kind}")(f"x.{kind}", value)
    writer.add_array("x.texts", ["a", "ü"])
    writer.add_array("x.numbers", [-1, 2])
    writer.add_custom_alignment(64)
    writer.add_tensor("a", np.ones((3, 5), dtype=np.float32))
    writer.add_tensor("b", np.ones(3, dtype=np.float16))
    blocks = np.zeros((2, 34), dtype=np.uint8)
    writer.add_tensor("c", blocks, raw_dtype=GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    header = parse((tmp_path / "x.gguf").read_bytes(), keep=True)
    assert {kind: header.metadata[f"x.{kind}"] for kind in values} == values
    assert header.metadata["x.texts"] == Array(2, ("a", "ü"))
    assert header.metadata["x.numbers"] == Array(2, (-1, 2))
    assert [(it.name, it.dtype, it.shape) for it in header.tensors] == [
        ("a", "F32", (5, 3)),
        ("b", "F16", (3,)),
        ("c", "Q8_0", (32, 2)),
    ]


@pytest.mark.parametrize("number", [1e-6, 0.1, 1e20, 3.4028235e38, float("inf"), -0.0, 16777217])
def test_numbers_of_32_bits_are_given_as_they_are_written(number: float) -> None:
    metadata = parse(gguf({"x": float(number), "y": [float(number)]}, {}), keep=True).metadata
    expected = {1e-6: 1e-6, 16777217: 16777216.0}.get(number, number)
    assert (metadata["x"], metadata["y"]) == (expected, Array(1, (expected,)))


def test_version_2_is_read_alike() -> None:
    assert parse(gguf(version=2)) == parse(FILE)


def test_a_big_endian_file(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "x.gguf", "llama", endianess=GGUFEndian.BIG)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(InvalidModel, match="big-endian GGUF files are not read"):
        parse((tmp_path / "x.gguf").read_bytes())


def test_the_header_alone_is_enough() -> None:
    end = FILE.rindex(b"output.weight") + len(b"output.weight") + 4 + 16 + 12
    assert parse(FILE[:end], file_size=len(FILE)) == parse(FILE)
    with pytest.raises(Incomplete) as raised:
        parse(FILE[: end - 1], file_size=len(FILE))
    assert raised.value.needed == end


def test_its_start() -> None:
    start = parse_start(FILE[:200], len(FILE))
    assert start["general.architecture"] == "llama"
    assert "tokenizer.ggml.tokens" not in start
    assert parse_start(FILE, len(FILE)).keys() == LLAMA.keys()
    with pytest.raises(InvalidModel, match="not in GGUF format"):
        parse_start(b"PK\3\4", 4)


def test_texts_that_are_no_utf8_are_read_as_far_as_they_can_be() -> None:
    metadata = parse(gguf({**LLAMA, "x": b"a\xffb", "y": [b"\xff", "b"]}), keep=True).metadata
    assert metadata["x"] == "a\N{REPLACEMENT CHARACTER}b"
    assert metadata["y"] == Array(2, ("\N{REPLACEMENT CHARACTER}", "b"))


def test_what_follows_the_tensors_is_ignored() -> None:
    assert parse(FILE + b"padding") == parse(FILE)


def test_a_tensor_without_numbers_and_one_without_dimensions() -> None:
    header = parse(gguf(LLAMA, {"a": ("F32", (0, 3)), "b": ("F32", ())}))
    assert [(it.elements, it.size) for it in header.tensors] == [(0, 0), (1, 4)]


def array(kind: int, length: int, content: bytes = b"") -> Raw:
    return Raw(pack("<IIQ", 9, kind, length) + content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\3\4 and so on", "supplied file was not in GGUF format"),
        (gguf(magic=b"FUGG"), "big-endian GGUF files are not read"),
        (gguf(version=1), "GGUF version 1 is not read, only 2 and 3"),
        (gguf(version=0), "GGUF version 0 is not read"),
        (gguf(version=4), "GGUF version 4 is not read"),
        (b"GGUF", "truncated: the file ends within its header"),
        (FILE[:300], "truncated: the file ends within its header"),
        (FILE[:-1], r"truncated: \d+ bytes of tensors expected, \d+ found"),
        (gguf(key_count=2**63), "damaged GGUF header: 9223372036854775808 keys"),
        (gguf(tensor_count=2**40), "damaged GGUF header: 1099511627776 tensors"),
        (gguf(LLAMA, {}, key_count=len(LLAMA) + 3), "'' is there twice"),
        (gguf({"x": Raw(pack("<IQ", 8, 2**63))}), "a text of 9223372036854775808 bytes"),
        (gguf({"x": Raw(pack("<IQ", 8, 2**23))}), "truncated: the file ends within its header"),
        (gguf({"x": Raw(pack("<I", 13))}), "'x' has the unknown type 13"),
        (gguf({"x": array(4, 2**62)}), f"its arrays have more than {MAX_ELEMENTS} values"),
        (gguf({"x": array(8, MAX_ELEMENTS)}, {}), "truncated: the file ends within its header"),
        (gguf({"x": array(9, 1)}), "'x' holds arrays"),
        (gguf({"x": array(77, 1)}), "'x' has values of the unknown type 77"),
        (gguf({"x" * 65_536: 1}), "a name of 65536 bytes"),
        (gguf({"general.alignment": 0}), "the alignment is no power of two"),
        (gguf({"general.alignment": 48}), "the alignment is no power of two"),
        (gguf({"general.alignment": 2**31}), "the alignment is no power of two"),
        (gguf({"general.alignment": "32"}), "the alignment is no power of two"),
        (gguf(LLAMA, {"a": Place(31, (1,), 0)}), "tensor 'a' has the unknown type 31"),
        (gguf(LLAMA, {"a": Place(0, (1,) * 5, 0)}), "tensor 'a' has 5 dimensions"),
        (gguf(LLAMA, {"a": Place(0, (2**32, 2**32), 0)}), "tensor 'a' is impossibly large"),
        (gguf(LLAMA, {"a": Place(12, (100,), 0)}), "'a' has rows that are no blocks of Q4_K"),
        (gguf(LLAMA, {"a": Place(0, (1,), 2**63)}), "truncated: "),
        (gguf(LLAMA, {"a": Place(0, (2**50,), 0)}), "truncated: "),
        (gguf(LLAMA, {**TENSORS, "a": Place(0, (1,), 7)}), "tensor 'a' is misplaced"),
        (gguf(LLAMA, {**TENSORS, "a": Place(0, (8,), 32)}), "tensor 'a' is misplaced"),
        (gguf(LLAMA, {"a" * 2000: Place(0, (1,), 0)}), "a name of 2000 bytes"),
    ],
)  # fmt: skip
def test_files_that_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(InvalidModel, match=message) as raised:
        parse(content)
    assert len(raised.value.message) < 200


def test_names_have_to_be_text_and_different() -> None:
    twice = gguf({"x": 1, "y": 2}).replace(text("y"), text("x"))
    with pytest.raises(InvalidModel, match="'x' is there twice"):
        parse(twice)
    with pytest.raises(InvalidModel, match="a name is no text"):
        parse(gguf({"xyz": 1}).replace(b"xyz", b"\xff\xfe\xfd"))
    tensors = {"a": ("F32", (1,)), "b": ("F32", (1,))}
    with pytest.raises(InvalidModel, match="tensor 'a' is there twice"):
        parse(gguf(LLAMA, tensors).replace(text("b") + b"\1\0", text("a") + b"\1\0"))


def test_a_header_has_a_largest_size() -> None:
    entry = pack("<IQ", 8, 16 * 1024 * 1024) + bytes(16 * 1024 * 1024)
    entries = b"".join(text(str(number)) + entry for number in range(8))
    content = b"GGUF" + pack("<IQQ", 3, 0, 8) + entries
    with pytest.raises(InvalidModel, match=f"its header is larger than {MAX_HEADER_SIZE} bytes"):
        parse(content[:MAX_HEADER_SIZE], file_size=2**40)


def test_what_is_gguf() -> None:
    assert is_gguf(b"GGUF\3")
    assert is_gguf(b"FUGG")
    assert not is_gguf(b"GGU")


def test_a_large_vocabulary_is_passed_over_quickly() -> None:
    tokens = [f"token {number}" for number in range(200_000)]
    content = gguf({**LLAMA, "tokenizer.ggml.tokens": tokens})
    tracemalloc.start()
    started = time.process_time()
    assert parse(content).metadata["tokenizer.ggml.tokens"] == Array(200_000, None)
    assert time.process_time() - started < 5
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


def parse_or_refuse(content: bytes) -> None:
    with suppress(InvalidModel):
        header = parse(content, keep=True)
        assert sum(tensor.size for tensor in header.tensors) <= len(content)


@given(st.integers(0, len(FILE)))
def test_any_part_of_a_file_is_refused(size: int) -> None:
    with pytest.raises(InvalidModel):
        parse(FILE[:size] if size < len(FILE) else FILE[:-1])


HEADER_SIZE = len(FILE) - 4608 - 1024 - 16384


@settings(max_examples=500, deadline=1000)
@given(
    st.lists(
        st.tuples(
            st.integers(0, HEADER_SIZE - 1),
            st.one_of(
                st.binary(min_size=1, max_size=16),
                st.integers(0, 2**64 - 1).map(lambda number: pack("<Q", number)),
                st.sampled_from([2**63, 2**62, 2**32 - 1, 2**31, 2**24]).map(
                    lambda number: pack("<Q", number)
                ),
            ),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_changed_file_is_read_or_refused(changes: list[tuple[int, bytes]]) -> None:
    content = bytearray(FILE)
    for place, change in changes:
        content[place : place + len(change)] = change
    parse_or_refuse(bytes(content))


@settings(max_examples=300, deadline=1000)
@given(st.binary(max_size=400))
def test_anything_after_the_magic_is_read_or_refused(content: bytes) -> None:
    parse_or_refuse(b"GGUF" + content)
    parse_or_refuse(b"GGUF" + pack("<I", 3) + content)
