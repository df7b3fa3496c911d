"""Prompts with images as vLLM takes them: decoded, processed, and their places filled in."""

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from io import BytesIO
from typing import cast

from PIL import Image
from vllm.inputs import MultiModalInput, TokensPrompt
from vllm.model_executor.model_loader import get_model_cls
from vllm.model_executor.models.interfaces import supports_multimodal
from vllm.multimodal.cache.base import MultiModalCache
from vllm.multimodal.inputs import MultiModalKwargsItem, MultiModalKwargsItems
from vllm.renderers import TokenizeParams
from vllm.v1.engine.async_llm import AsyncLLM

from common.errors import InvalidRequest, WorkerLost
from workers.allowance import Allowance
from workers.engine import Prompt
from workers.images import ImageLimits, decode_images

logger = logging.getLogger(__name__)

# Bytes of processed images, which this process and the engine's keep until their sequences
# end. One prompt may have more, then it runs alone.
MOST_HELD = 256 << 20

# The window is checked afterwards: an image takes more tokens than its place did.
_NO_LIMIT = TokenizeParams(max_total_tokens=None)


class PromptImages:
    """What one engine does with prompts that have images, one prompt after the other.

    At most one prompt's images are decoded at a time, however many wait, and what is made of
    them is held within `MOST_HELD`.
    """

    def __init__(self, llm: AsyncLLM, limits: ImageLimits) -> None:
        self._renderer = llm.renderer
        self._limits = replace(limits, images=min(limits.images, _most_images(llm)))
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="images")
        self._turn = asyncio.Lock()
        self._memory = Allowance(MOST_HELD)
        self._closed = False
        self.placeholder = _placeholder(llm)
        """The text that stands for one image in a prompt; empty where none is needed."""

    @asynccontextmanager
    async def processed(self, prompt: Prompt) -> AsyncIterator[MultiModalInput]:
        """Give a prompt as the engine takes it; leave when its sequence has ended.

        Raises:
            InvalidRequest: an image cannot be read or processed, or has no place.
            WorkerLost: the engine was ended meanwhile.
        """
        async with AsyncExitStack() as held:
            async with self._turn:
                processed = await self._process(prompt)
                items = cast(MultiModalKwargsItems[MultiModalKwargsItem], processed["mm_kwargs"])
                size = MultiModalCache.get_item_size(items)
                await held.enter_async_context(self._memory.take(size))
            yield processed

    async def _process(self, prompt: Prompt) -> MultiModalInput:
        if self._closed:
            raise WorkerLost
        loop = asyncio.get_running_loop()
        images = await loop.run_in_executor(
            self._thread, decode_images, prompt.images, self._limits
        )
        tokens = TokensPrompt(
            prompt_token_ids=list(prompt.tokens), multi_modal_data={"image": images}
        )
        try:
            [processed] = await self._renderer.render_cmpl_async([tokens], _NO_LIMIT)
        except AssertionError as error:
            raise InvalidRequest("the prompt has fewer places for images than images") from error
        except Exception as error:  # each model has a processor of its own
            if self._closed:
                raise WorkerLost from error
            cause = error.__cause__ or error
            logger.info("images were refused: %s", cause)
            raise InvalidRequest(f"the model cannot take these images: {cause}") from error
        return cast(MultiModalInput, processed)

    def sample(self) -> Prompt:
        """Give a small prompt with an image, to try the engine out."""
        file = BytesIO()
        Image.new("RGB", (64, 64)).save(file, "PNG")
        tokens = self._renderer.get_tokenizer().encode(self.placeholder)
        return Prompt(tokens, self.placeholder, [file.getvalue()])

    def close(self) -> None:
        """End the thread, once it has decoded what it is at."""
        self._closed = True
        self._thread.shutdown(wait=False)


def sees_images(llm: AsyncLLM) -> bool:
    """Tell whether a model takes images."""
    return llm.model_config.supports_multimodal_inputs and _most_images(llm) > 0


def _most_images(llm: AsyncLLM) -> int:
    return int(llm.renderer.get_mm_processor().info.allowed_mm_limits.get("image", 0))


def _placeholder(llm: AsyncLLM) -> str:
    """Ask the model's class; some leave it to their processor's, or need none."""
    model = get_model_cls(llm.model_config)
    text = model.get_placeholder_str("image", 1) if supports_multimodal(model) else None
    processor = llm.renderer.get_mm_processor()
    return text or processor.dummy_inputs.get_dummy_text({"image": 1})
