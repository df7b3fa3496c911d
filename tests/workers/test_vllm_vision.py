"""The real engine with a tiny model that sees, one for all tests of the module."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from io import BytesIO
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio
from PIL import Image
from vllm.v1.engine.async_llm import AsyncLLM

from common.errors import CapabilityMissing, InvalidRequest, WorkerLost
from protos.paddock.v1 import generation_pb2, model_pb2
from tests.workers.conformance import asked, assert_goes_on
from tests.workers.folders import spec_of
from tests.workers.tiny_vision_model import CONTEXT_LENGTH, TILE, TILE_TOKENS, make_vision_folder
from workers.engine import Engine, Limits, Prompt, Step
from workers.images import ImageLimits
from workers.prompt import render
from workers.vllm_engine import VllmEngine
from workers.vllm_factory import VllmFactory

GIBIBYTE = 1 << 30
MOST_IMAGES = 40

pytestmark = pytest.mark.asyncio(loop_scope="module")


def encode(image: Image.Image, kind: str = "PNG") -> bytes:
    file = BytesIO()
    image.save(file, kind)
    return file.getvalue()


def plain(colour: str, width: int = 50, height: int = 50) -> bytes:
    return encode(Image.new("RGB", (width, height), colour))


RED, BLUE = plain("red"), plain("blue")


async def start(factory: VllmFactory, folder: Path) -> Engine:
    spec = spec_of(folder, "completion", "vision")
    plan = await asyncio.to_thread(factory.plan, spec, folder, 4 * GIBIBYTE)
    return await factory.start(spec, folder, plan)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def factory(failures: Path) -> VllmFactory:
    return VllmFactory(
        failures,
        max_sequences=32,
        context_length=None,
        accelerator=False,
        images=ImageLimits(images=MOST_IMAGES),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_vision_folder(tmp_path_factory.mktemp("vision"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(factory: VllmFactory, folder: Path) -> AsyncIterator[Engine]:
    engine = await start(factory, folder)
    yield engine
    await engine.aclose()


async def ask(engine: Engine, prompt: Prompt, **options: object) -> list[Step]:
    generation = generation_pb2.Generation(
        logprobs=0,
        options=generation_pb2.Options(
            **({"num_predict": 3, "temperature": 0} | options)  # type: ignore[arg-type]
        ),
    )
    async with aclosing(engine.generate(prompt, generation)) as steps:
        return [step async for step in steps]


async def look(engine: Engine, images: Sequence[bytes], text: str) -> list[float]:
    """Tell how likely the answer's tokens were: what the model saw shows in it."""
    steps = await ask(engine, Prompt(engine.tokenizer.encode(text), text, images))
    return [logprob.logprob for step in steps for logprob in step.logprobs]


def same(first: list[float], second: list[float]) -> bool:
    return first == pytest.approx(second, abs=1e-3)


async def test_the_answer_depends_on_the_image(engine: Engine) -> None:
    text = "user: <image>what?\nassistant: "
    red, blue = await look(engine, [RED], text), await look(engine, [BLUE], text)
    assert same(red, await look(engine, [RED], text))
    assert not same(red, blue)
    assert not same(red, await look(engine, [], "user: what?\nassistant: "))


async def test_two_images_and_their_order(engine: Engine) -> None:
    text = "user: <image>and<image>?\nassistant: "
    seen = [await look(engine, images, text) for images in ([RED, BLUE], [BLUE, RED], [RED, RED])]
    assert not same(seen[0], seen[1])
    assert not same(seen[0], seen[2])
    assert same(seen[0], await look(engine, [RED, BLUE], text))


async def test_the_place_of_an_image(engine: Engine) -> None:
    first = await look(engine, [RED], "user: <image>what?\nassistant: ")
    assert not same(first, await look(engine, [RED], "user: what?<image>\nassistant: "))


async def test_an_image_in_a_chat_and_in_a_completion(engine: Engine) -> None:
    message = generation_pb2.Message(role="user", content="what?", images=[RED])
    chat = generation_pb2.Generation(chat=generation_pb2.Chat(messages=[message]))
    completion = generation_pb2.Generation(
        completion=generation_pb2.Completion(prompt="what?", images=[RED])
    )
    expected = await look(engine, [RED], "user: <image>what?\nassistant: ")
    for generation in (chat, completion):
        prompt = render(engine, model_pb2.ModelSpec(name="tested"), generation)
        assert prompt.images == [RED]
        steps = await ask(engine, prompt)
        found = [logprob.logprob for step in steps for logprob in step.logprobs]
        assert same(found, expected)


async def test_going_on_where_the_prompt_has_images(engine: Engine) -> None:
    text = "user: <image>and<image>?\nassistant: "
    prompt = Prompt(engine.tokenizer.encode(text), text, [RED, BLUE])
    await assert_goes_on(engine, prompt, asked(), [1, 7, 23, 24])


async def test_an_images_tokens_count(engine: Engine) -> None:
    text = "what?"
    tokens = engine.tokenizer.encode(text)
    assert (await ask(engine, Prompt(tokens)))[-1].prompt_tokens == len(tokens)
    prompt = Prompt(engine.tokenizer.encode(f"<image>{text}"), images=[plain("red", 2 * TILE, 9)])
    added = (await ask(engine, prompt))[-1].prompt_tokens - len(tokens)
    assert added > 3 * TILE_TOKENS  # two tiles and the whole image, with the marks around them


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 200), (200, 1), (2, 3), (27, 3), (TILE, TILE), (3000, 2000)]
)
async def test_odd_sizes(engine: Engine, size: tuple[int, int]) -> None:
    assert await look(engine, [plain("red", *size)], "<image>?")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
async def test_odd_colours(engine: Engine, mode: str) -> None:
    image = Image.effect_noise((60, 60), 80)
    if mode == "CMYK":
        assert await look(engine, [encode(image.convert(mode), "JPEG")], "<image>?")
    else:
        assert await look(engine, [encode(image.convert(mode))], "<image>?")


@pytest.mark.parametrize(
    ("images", "text", "reason"),
    [
        ([b"no image"], "<image>?", "image 1: it is none of"),
        ([RED[:60]], "<image>?", "image 1: it is damaged"),
        ([RED], "?", "fewer places for images"),
        ([RED, BLUE], "<image>?", "fewer places for images"),
        ([RED], "", "fewer places for images"),
        ([RED] * (MOST_IMAGES + 1), "<image>" * (MOST_IMAGES + 1), "too many images: 41"),
        ([RED] * MOST_IMAGES, "<image>" * MOST_IMAGES, "longer than the context length"),
        ([RED], "<image>" + "x" * CONTEXT_LENGTH, "longer than the context length"),
    ],
)
async def test_what_is_refused(engine: Engine, images: list[bytes], text: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        await look(engine, images, text)
    assert engine.alive
    assert await look(engine, [RED], "<image>?")


async def test_num_ctx_counts_images(engine: Engine) -> None:
    prompt = Prompt(engine.tokenizer.encode("<image>what?"), images=[RED])
    with pytest.raises(InvalidRequest, match="longer than the context length"):
        await ask(engine, prompt, num_ctx=20)


async def test_a_text_need_not_wait_for_a_large_image(engine: Engine) -> None:
    large = asyncio.create_task(look(engine, [plain("red", 7000, 7000)], "<image>?"))
    await asyncio.sleep(0.05)
    await look(engine, [], "what?")
    assert not large.done()
    assert await large


async def test_requests_that_are_cancelled_leave_nothing(engine: Engine) -> None:
    files = [plain("red", 900 + number, 900) for number in range(40)]
    tasks = [asyncio.create_task(look(engine, [file], "<image>?")) for file in files]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(5):
        assert await look(engine, [RED], "<image>?")


async def test_an_engine_that_ends_while_images_wait(factory: VllmFactory, folder: Path) -> None:
    engine = await start(factory, folder)
    large = plain("red", 3000, 3000)
    tasks = [asyncio.create_task(look(engine, [large], "<image>?")) for _ in range(5)]
    await asyncio.sleep(0.2)
    await engine.aclose()
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[-1], WorkerLost)
    assert all(isinstance(outcome, list | WorkerLost) for outcome in outcomes)


async def test_a_model_that_does_not_see() -> None:
    limits = Limits(context_length=8, max_sequences=8, accelerator=False)
    blind = VllmEngine(cast(AsyncLLM, None), "blind:latest", limits, pooling=False)
    assert blind.image_placeholder is None
    with pytest.raises(CapabilityMissing, match='"blind:latest" does not support images'):
        await ask(blind, Prompt([1], images=[RED]))
