import codecs
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidRequest
from common.modelfile.modelfile import (
    Modelfile,
    Turn,
    decode_modelfile,
    parse_modelfile,
    write_modelfile,
)

EVERYTHING = Modelfile(
    sources=("llama3.2",),
    adapters=("./lora",),
    drafts=("./draft.gguf",),
    template='{{ .Prompt }}\n"\n{{ .Response }}',
    system="Be brief.",
    renderer="qwen3-coder",
    parser="qwen3-coder",
    requires="0.14.0",
    parameters={"stop": ["<|im_end|>", " "], "temperature": 0.6, "num_ctx": 8192, "numa": True},
    licenses=("MIT", "first\nsecond"),
    messages=(Turn("user", "Hi"), Turn("assistant", '"Ho"'), Turn("system", "")),
)
WRITTEN = '''\
FROM llama3.2
ADAPTER ./lora
DRAFT ./draft.gguf
TEMPLATE """{{ .Prompt }}
"
{{ .Response }}"""
SYSTEM Be brief.
RENDERER qwen3-coder
PARSER qwen3-coder
REQUIRES 0.14.0
PARAMETER stop <|im_end|>
PARAMETER stop " "
PARAMETER temperature 0.6
PARAMETER num_ctx 8192
PARAMETER numa true
LICENSE MIT
LICENSE "first
second"
MESSAGE user Hi
MESSAGE assistant """"Ho""""
MESSAGE system ""
'''


def test_everything_is_written_and_read_back() -> None:
    assert write_modelfile(EVERYTHING) == WRITTEN
    assert parse_modelfile(WRITTEN) == EVERYTHING


def test_what_is_not_said() -> None:
    modelfile = parse_modelfile("FROM x")
    assert modelfile == Modelfile(sources=("x",))
    assert modelfile.system is None
    assert parse_modelfile('FROM x\nSYSTEM ""').system == ""


def test_the_last_counts_of_what_can_be_said_once() -> None:
    modelfile = parse_modelfile(
        "FROM a\nFROM b\nSYSTEM old\nSYSTEM new\nPARAMETER top_k 1\nPARAMETER top_k 2\n"
    )
    assert modelfile.sources == ("a", "b")
    assert modelfile.system == "new"
    assert modelfile.parameters == {"top_k": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no FROM line"),
        ("# nothing\n", "no FROM line"),
        ("SYSTEM x", "no FROM line"),
        ("FROM x\nREQUIRES tomorrow", "(line 2): requires must be a valid semver (e.g. 0.14.0)"),
        ("FROM x\nPARAMETER colour red", "(line 2): unknown parameter 'colour'"),
        (
            'FROM x\r\nSYSTEM """a\r\nb"""\r\n# c\r\nPARAMETER top_k 1.5',
            "(line 5): invalid int value [1.5]",
        ),
        ("FROM x\nPARAMETER stop", "(line 2): unexpected EOF: stop"),
    ],
)
def test_what_is_no_modelfile(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_modelfile(text)
    assert raised.value.message == message


@pytest.mark.parametrize(
    "content",
    [
        "FROM x\nSYSTEM 你好👋".encode(),
        codecs.BOM_UTF8 + "FROM x\nSYSTEM 你好👋".encode(),
        codecs.BOM_UTF16_LE + "FROM x\nSYSTEM 你好👋".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "FROM x\r\nSYSTEM 你好👋".encode("utf-16-be"),
    ],
)
def test_encodings(content: bytes) -> None:
    modelfile = parse_modelfile(decode_modelfile(content))
    assert modelfile == Modelfile(sources=("x",), system="你好👋")


@pytest.mark.parametrize("content", [b"FROM x\nSYSTEM caf\xe9", b"\xff\xfeF"])
def test_what_is_no_text(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match="a Modelfile must be UTF-8 or UTF-16 text"):
        decode_modelfile(content)


def test_a_byte_order_mark_in_a_text_is_no_instruction() -> None:
    assert parse_modelfile("\ufeffFROM x").sources == ("x",)


def is_representable(text: str) -> bool:
    lines = re.split(r"[\r\n]", text)
    return not any(line.rstrip().endswith('"""') for line in lines[:-1])


quotes = st.text('"# \t\r\nax')
texts = (st.text() | quotes).filter(is_representable)
modelfiles = st.builds(
    Modelfile,
    sources=st.lists(texts, min_size=1).map(tuple),
    adapters=st.lists(texts).map(tuple),
    drafts=st.lists(texts).map(tuple),
    template=st.none() | texts,
    system=st.none() | texts,
    renderer=texts,
    parser=texts,
    requires=st.sampled_from(["", "1", "0.14.0", "1.2.3-rc.1+b"]),
    parameters=st.fixed_dictionaries(
        {},
        optional={
            "stop": st.lists(texts, min_size=1),
            "temperature": st.floats(-100, 100, width=32),
            "seed": st.integers(-(2**63), 2**63 - 1),
            "use_mmap": st.booleans(),
        },
    ),
    licenses=st.lists(texts).map(tuple),
    messages=st.lists(st.builds(Turn, st.sampled_from(["system", "user", "assistant"]), texts)).map(
        tuple
    ),
)


@given(modelfiles)
def test_whatever_is_written_is_read_back(modelfile: Modelfile) -> None:
    assert parse_modelfile(write_modelfile(modelfile)) == modelfile


@given(st.text())
def test_any_text_is_a_modelfile_or_a_clear_error(text: str) -> None:
    with suppress(InvalidRequest):
        assert parse_modelfile(text).sources


def test_long_texts_take_linear_time() -> None:
    system = '"\n' * 500_000
    modelfile = Modelfile(sources=("x",), system=system)
    assert parse_modelfile(write_modelfile(modelfile)).system == system
