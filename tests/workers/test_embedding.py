import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.errors import InvalidRequest
from common.rpc import rpc_errors
from protos.paddock.v1 import generation_pb2, inference_pb2, model_pb2, worker_pb2
from tests.workers.fakes import FakeEngine, FakeFactory, LetterTokenizer
from tests.workers.harness import Worker, model, running_worker
from workers.embedding import shape, tokenize
from workers.engine import Limits, Plan


class WordTokenizer(LetterTokenizer):
    """One token a word, between two marks; it counts the letters that it reads."""

    read = 0

    def encode(self, text: str, **arguments: object) -> list[int]:
        self.read += len(text)
        words = [len(word) for word in text.split()]
        if arguments.get("truncation"):
            words = words[: int(str(arguments["max_length"])) - 2]
        return [-1, *words, -2]


class CountingEngine(FakeEngine):
    """Notes how many prompts it got at once."""

    def __init__(self, pace: float) -> None:
        limits = Limits(context_length=1000, max_sequences=8, accelerator=False)
        super().__init__(limits, pooling=True, pace=pace, letters=1)
        self.counts: list[int] = []

    async def embed(self, prompts: list[list[int]]) -> list[list[float]]:
        self.counts.append(len(prompts))
        return await super().embed(prompts)


class CountingFactory(FakeFactory):
    async def start(self, spec: model_pb2.ModelSpec, folder: Path, plan: Plan) -> FakeEngine:
        self.engines.append(CountingEngine(self.pace))
        return self.engines[-1]


@pytest.fixture
async def embedder(tmp_path: Path) -> AsyncIterator[Worker]:
    async with running_worker(tmp_path, CountingFactory()) as running:
        yield running


async def embed(worker: Worker, *inputs: str, **more: object) -> inference_pb2.EmbedResponse:
    request = inference_pb2.EmbedRequest(inputs=inputs, **more)  # type: ignore[arg-type]
    spec = model("e", "", "embedding")
    with rpc_errors():
        return await worker.stub.Embed(worker_pb2.EmbedSequencesRequest(spec=spec, request=request))


@pytest.mark.parametrize(
    ("vector", "dimensions", "normalize", "expected"),
    [
        ([3.0, 4.0], 0, False, [3.0, 4.0]),
        ([3.0, 4.0], 0, True, [0.6, 0.8]),
        ([3.0, 4.0, 12.0], 2, True, [0.6, 0.8]),
        ([3.0, 4.0, 12.0], 2, False, [3.0, 4.0]),
        ([3.0, 4.0], 2, True, [0.6, 0.8]),
        ([3.0, 4.0], 9, True, [0.6, 0.8]),
        ([0.0, 0.0], 0, True, [0.0, 0.0]),
        ([3e200, 4e200], 0, True, [0.6, 0.8]),
    ],
)
def test_shape(
    vector: list[float], dimensions: int, normalize: bool, expected: list[float]
) -> None:
    assert shape(vector, dimensions, normalize) == pytest.approx(expected)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_vector_without_sense(value: float) -> None:
    with pytest.raises(InvalidRequest, match="embedding contains NaN or Inf values"):
        shape([1.0, value], 0, True)


def test_truncation() -> None:
    tokenizer = LetterTokenizer()
    assert len(tokenize(tokenizer, "abc", truncate=False, context_length=3)) == 3
    assert len(tokenize(tokenizer, "abcd", truncate=True, context_length=3)) == 3
    with pytest.raises(InvalidRequest, match="the input length exceeds the context length"):
        tokenize(tokenizer, "abcd", truncate=False, context_length=3)


def test_a_cut_text_keeps_the_mark_at_its_end() -> None:
    tokens = tokenize(WordTokenizer(), "one three x four", truncate=True, context_length=4)
    assert tokens == [-1, 3, 5, -2]


@pytest.mark.parametrize("truncate", [True, False])
def test_of_a_far_too_long_text_a_part_is_read(truncate: bool) -> None:
    tokenizer = WordTokenizer()
    if truncate:
        tokens = tokenize(tokenizer, "word " * 1_000_000, truncate, context_length=100)
        assert tokens == [-1, *[4] * 98, -2]
    else:
        with pytest.raises(InvalidRequest, match="the input length exceeds"):
            tokenize(tokenizer, "word " * 1_000_000, truncate, context_length=100)
    assert tokenizer.read < 10_000


@pytest.mark.parametrize("word", ["a" * 60, "a" * 700])
def test_long_words_are_read_as_far_as_it_takes(word: str) -> None:
    text = f"{word} " * 99 + "other " * 10_000
    tokens = tokenize(WordTokenizer(), text, truncate=True, context_length=100)
    assert tokens == [-1, *[len(word)] * 98, -2]
    assert tokenize(WordTokenizer(), f"{word} " * 98, truncate=False, context_length=100) == tokens


@pytest.mark.parametrize("text", [" " * 10_000_000 + "end", "a" * 10_000_000])
def test_a_text_of_millions_of_letters_and_hardly_a_token(text: str) -> None:
    tokenizer = WordTokenizer()
    assert len(tokenize(tokenizer, text, truncate=True, context_length=100)) <= 3
    with pytest.raises(InvalidRequest, match="the input length exceeds"):
        tokenize(tokenizer, text, truncate=False, context_length=100)
    assert tokenizer.read < 1_000_000


async def test_thousands_of_inputs_come_in_order_and_some_at_a_time(embedder: Worker) -> None:
    texts = ["x" * (1 + number % 7) for number in range(3000)]
    response = await embed(embedder, *texts)
    assert [found.values[0] for found in response.embeddings] == [len(text) for text in texts]
    assert response.usage.prompt_tokens == sum(map(len, texts))
    [engine] = embedder.factory.engines
    assert isinstance(engine, CountingEngine)
    assert sum(engine.counts) == 3000
    assert max(engine.counts) <= 64


async def test_usage_counts_what_is_left_of_a_text(embedder: Worker) -> None:
    response = await embed(embedder, "x" * 2000, "abc", truncate=True)
    assert response.usage.prompt_tokens == 1003
    assert response.usage.load_duration > 0
    assert response.usage.total_duration > response.usage.load_duration


async def test_num_ctx_caps_the_window(embedder: Worker) -> None:
    options = generation_pb2.Options(num_ctx=10)
    response = await embed(embedder, "x" * 50, truncate=True, options=options)
    assert response.usage.prompt_tokens == 10
    with pytest.raises(InvalidRequest, match="the input length exceeds the context length"):
        await embed(embedder, "x" * 50, truncate=False, options=options)


async def test_no_inputs_load_the_model(embedder: Worker) -> None:
    assert not (await embed(embedder)).embeddings
    assert embedder.factory.engines


async def test_a_cancelled_request_embeds_no_more(tmp_path: Path) -> None:
    async with running_worker(tmp_path, CountingFactory(pace=0.05)) as worker:
        embedding = asyncio.create_task(embed(worker, *["x"] * 3000))
        await worker.until(lambda status: any(each.running for each in status.models))
        await asyncio.sleep(0.1)
        embedding.cancel()
        await worker.until(lambda status: not any(each.running for each in status.models))
        [engine] = worker.factory.engines
        assert isinstance(engine, CountingEngine)
        assert 0 < sum(engine.counts) < 3000
