import pytest

from common.derived import DERIVED_HOST
from common.errors import InvalidName, InvalidRequest, ModelNotFound, PaddockError
from services.registry.references import parse_name, parse_new_name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x", "x:latest"),
        ("  x  ", "x:latest"),
        ("x:local", "x:latest"),
        ("x:LOCAL", "x:latest"),
        ("x:8b:local", "x:8b"),
        ("https://registry.ollama.ai/library/x", "x:latest"),
        ("me/x:v1", "me/x:v1"),
        ("localhost:5000/me/x", "localhost:5000/me/x:latest"),
        ("cloud", "cloud:latest"),
        ("my-cloud", "my-cloud:latest"),
        ("localhost:5000/me/my-cloud", "localhost:5000/me/my-cloud:latest"),
    ],
)
def test_names(text: str, shown: str) -> None:
    assert str(parse_name(text)) == shown
    assert str(parse_new_name(text)) == shown


@pytest.mark.parametrize(
    ("text", "error", "new_error"),
    [
        ("", InvalidName, InvalidName),
        ("a b", InvalidName, InvalidName),
        (":local", InvalidName, InvalidName),
        ("x:cloud", ModelNotFound, InvalidName),
        ("x:8b-cloud", ModelNotFound, InvalidName),
        (f"{DERIVED_HOST.upper()}/a/b", ModelNotFound, InvalidName),
        ("x:local:cloud", InvalidRequest, InvalidRequest),
        ("x:cloud:local", InvalidRequest, InvalidRequest),
    ],
)
def test_names_that_cannot_be_stored(
    text: str, error: type[PaddockError], new_error: type[PaddockError]
) -> None:
    with pytest.raises(error) as looked_up:
        parse_name(text)
    with pytest.raises(new_error) as made:
        parse_new_name(text)
    assert type(looked_up.value) is error
    assert type(made.value) is new_error
