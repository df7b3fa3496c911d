"""Pictures on their way to a model that sees, if only in random colours."""

import ollama
import pytest

from tests.integration.models import picture
from tests.integration.suite import Suite

OPTIONS = {"temperature": 0, "num_predict": 12}


def look(client: ollama.Client, *colors: str) -> ollama.ChatResponse:
    message = ollama.Message(
        role="user",
        content="What is in this image?",
        images=[ollama.Image(value=picture(color)) for color in colors],
    )
    return client.chat("llava", [message], options=OPTIONS, logprobs=True)


def likelihoods(response: ollama.ChatResponse) -> list[float]:
    return [each.logprob for each in response.logprobs or ()]


def test_the_model_says_that_it_sees(stocked: Suite) -> None:
    assert "vision" in (stocked.client.show("llava").capabilities or ())


def test_what_is_answered_depends_on_the_picture(stocked: Suite) -> None:
    black, again, white = (look(stocked.client, color) for color in ("black", "black", "white"))
    assert likelihoods(black) == pytest.approx(likelihoods(again), abs=1e-3)
    assert likelihoods(black) != pytest.approx(likelihoods(white), abs=1e-3)


def test_every_picture_counts(stocked: Suite) -> None:
    none, one, two = (look(stocked.client, *["red"] * number) for number in range(3))
    counts = [response.prompt_eval_count or 0 for response in (none, one, two)]
    assert counts[1] - counts[0] == counts[2] - counts[1] > 1


def test_a_picture_for_generate(stocked: Suite) -> None:
    generated = stocked.client.generate(
        "llava", "What is in this picture?", images=[picture("red")], options=OPTIONS
    )
    assert generated.eval_count


def test_what_is_no_picture(stocked: Suite) -> None:
    for image, words in (("aGVsbG8=", "image"), ("not base64!", "illegal base64 data")):
        body = {"model": "llava", "prompt": "What is this?", "images": [image]}
        status, answer = stocked.request("POST", "/api/generate", body)
        assert status == 400
        assert words in answer["error"]
    assert look(stocked.client, "red").eval_count


def test_a_model_that_does_not_see(stocked: Suite) -> None:
    with pytest.raises(ollama.ResponseError, match='"demo" does not support images') as error:
        stocked.client.generate("demo", "What is this?", images=[picture("red")])
    assert error.value.status_code == 400
