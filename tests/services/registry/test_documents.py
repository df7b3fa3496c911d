import orjson
import pytest
from pydantic import ValidationError

from services.registry.documents import first_problem, not_json
from services.registry.manifest import Manifest

CONFIG = {"mediaType": "x", "digest": f"sha256:{'a' * 64}", "size": 1}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], "it must be an object"),
        ({}, "config is missing"),
        ({"config": {**CONFIG, "size": -1}}, "config.size must be 0 or more"),
        ({"config": {**CONFIG, "size": "1"}}, "config.size must be a whole number"),
        ({"config": {**CONFIG, "mediaType": 1}}, "config.mediaType must be a text"),
        ({"config": {**CONFIG, "digest": "x"}}, "config.digest is wrong: invalid digest"),
        ({"config": CONFIG, "layers": 1}, "layers must be a list"),
        ({"config": CONFIG, "annotations": 1}, "annotations must be an object"),
    ],
)
def test_what_is_wrong_with_a_document(document: object, problem: str) -> None:
    with pytest.raises(ValidationError) as error:
        Manifest.model_validate(document)
    assert first_problem(error.value).startswith(problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b'{"a":\n  }', "not valid JSON in line 2, column 3"),
        (b"{} x", "not valid JSON in line 1, column 4"),
        (b"", "not valid JSON: it is empty, or no UTF-8 text"),
        (b"\xff", "not valid JSON: it is empty, or no UTF-8 text"),
    ],
)
def test_where_a_text_is_no_json(text: bytes, problem: str) -> None:
    with pytest.raises(orjson.JSONDecodeError) as error:
        orjson.loads(text)
    assert not_json(error.value) == problem
