"""Embeddings of a real model, all-MiniLM-L6-v2, with the official client."""

import math

import ollama
import pytest

from tests.integration.suite import Suite

SKY = "Why is the sky blue?"
GRASS = "Why is the grass green?"
# The vectors of these two that Ollama's documentation prints, as far as it prints them.
DOCUMENTED = {
    SKY: (
        0.010071029, -0.0017594862, 0.05007221, 0.04692972, 0.054916814,
        0.008599704, 0.105441414, -0.025878139, 0.12958129, 0.031952348,
    ),
    GRASS: (
        -0.0098027075, 0.06042469, 0.025257962, -0.006364387, 0.07272725,
        0.017194884, 0.09032035, -0.051705178, 0.09951512, 0.09072481,
    ),
}  # fmt: skip


@pytest.fixture
def client(stocked: Suite) -> ollama.Client:
    return stocked.client


def test_the_vectors_are_the_documented_ones(client: ollama.Client) -> None:
    response = client.embed("all-minilm", [SKY, GRASS])
    for vector, expected in zip(response.embeddings, DOCUMENTED.values(), strict=True):
        assert len(vector) == 384
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)
        assert vector[: len(expected)] == pytest.approx(expected, abs=1e-3)
    assert response.prompt_eval_count == 16


def test_fewer_dimensions_are_the_first_ones_at_length_one(client: ollama.Client) -> None:
    [whole] = client.embed("all-minilm", SKY).embeddings
    [short] = client.embed("all-minilm", SKY, dimensions=64).embeddings
    scale = math.hypot(*whole[:64])
    assert short == pytest.approx([value / scale for value in whole[:64]], abs=1e-5)


def test_a_text_beyond_the_window(client: ollama.Client) -> None:
    long = "sky " * 1000
    assert len(client.embed("all-minilm", long).embeddings) == 1
    with pytest.raises(ollama.ResponseError, match="input length exceeds the context length"):
        client.embed("all-minilm", long, truncate=False)


def test_many_inputs_come_back_in_their_order(client: ollama.Client) -> None:
    texts = [f"{SKY} {number}" for number in range(300)]
    together = client.embed("all-minilm", texts).embeddings
    for number in (0, 150, 299):
        [alone] = client.embed("all-minilm", texts[number]).embeddings
        assert together[number] == pytest.approx(alone, abs=1e-3)


def test_the_older_endpoint_gives_the_same_direction(client: ollama.Client) -> None:
    [vector] = client.embed("all-minilm", SKY).embeddings
    old = client.embeddings("all-minilm", SKY).embedding
    length = math.hypot(*old)
    assert [value / length for value in old] == pytest.approx(vector, abs=1e-4)


def test_a_chat_model_does_not_embed(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="does not support embeddings") as error:
        client.embed("demo", SKY)
    assert error.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match='"all-minilm" does not support generate'):
        client.generate("all-minilm", SKY)
