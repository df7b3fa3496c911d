import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidName
from common.names import ModelName

START = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"


def part(extra: str, longest: int = 80) -> st.SearchStrategy[str]:
    rest = st.text(START + extra, max_size=longest - 1)
    return st.builds(str.__add__, st.sampled_from(START), rest)


NAMES = st.builds(ModelName, part("-.:", 350), part("-"), part("-."), part("-."))


@pytest.mark.parametrize(
    ("text", "path", "shown"),
    [
        ("x", "registry.ollama.ai/library/x/latest", "x:latest"),
        ("x:8b", "registry.ollama.ai/library/x/8b", "x:8b"),
        ("  X:Q4_K_M \n", "registry.ollama.ai/library/X/Q4_K_M", "X:Q4_K_M"),
        ("me/x", "registry.ollama.ai/me/x/latest", "me/x:latest"),
        ("hf.co/me/x:1", "hf.co/me/x/1", "hf.co/me/x:1"),
        ("localhost:5000/me/x", "localhost:5000/me/x/latest", "localhost:5000/me/x:latest"),
        ("host/library/x", "host/library/x/latest", "host/library/x:latest"),
        ("https://registry.ollama.ai/library/x", "registry.ollama.ai/library/x/latest", "x:latest"),
        ("_x.y-z:_", "registry.ollama.ai/library/_x.y-z/_", "_x.y-z:_"),
        ("x" * 80, f"registry.ollama.ai/library/{'x' * 80}/latest", f"{'x' * 80}:latest"),
    ],
)
def test_names_are_completed_and_shown_short(text: str, path: str, shown: str) -> None:
    name = ModelName.parse(text)
    assert name.path == path
    assert str(name) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ":",
        "x:",
        ":tag",
        "/x",
        "x/",
        "a//x",
        "a/b/c/d",
        "a b",
        "x:a:b",
        "-x",
        ".x",
        "x:-1",
        "n.s/x",
        "é",
        "x\x00",
        "x\n:y",
        "../x",
        "x" * 81,
        "x:" + "t" * 81,
        "n" * 81 + "/x",
        "h" * 351 + "/n/x",
    ],
)
def test_texts_that_are_no_names(text: str) -> None:
    with pytest.raises(InvalidName, match="invalid model name"):
        ModelName.parse(text)


@given(NAMES)
def test_every_name_survives_being_shown_and_sent(name: ModelName) -> None:
    assert ModelName.parse(str(name)) == name
    assert ModelName.from_proto(name.to_proto()) == name
    assert ModelName(*name.path.split("/")) == name


@given(NAMES)
def test_case_does_not_count_when_folded(name: ModelName) -> None:
    assert ModelName.parse(str(name).upper()).folded() == name.folded()


@given(st.text())
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = ModelName.parse(text)
    except InvalidName:
        return
    assert ".." not in name.path.split("/")
    assert len(name.path.split("/")) == 4
