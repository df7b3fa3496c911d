"""How the vLLM engine treats many inputs at once, over a stand-in for vLLM."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
from vllm.pooling_params import PoolingParams
from vllm.v1.engine.async_llm import AsyncLLM

from common.errors import InvalidRequest
from workers.engine import Limits
from workers.vllm_engine import VllmEngine


class Pooler:
    """The part of vLLM that embeds: it refuses the token 0, and never ends for others."""

    def __init__(self) -> None:
        self.ended = 0

    async def encode(
        self, prompt: Any, parameters: PoolingParams, request: str
    ) -> AsyncGenerator[Any, None]:
        try:
            if prompt["prompt_token_ids"] == [0]:
                raise ValueError("not this one")
            await asyncio.Event().wait()
            yield
        finally:
            self.ended += 1


async def test_an_input_that_is_refused_ends_the_others() -> None:
    pooler = Pooler()
    limits = Limits(context_length=8, max_sequences=8, accelerator=False)
    engine = VllmEngine(cast(AsyncLLM, pooler), "tested", limits, pooling=True)
    with pytest.raises(InvalidRequest, match="not this one"):
        await engine.embed([[1], [2], [0], [3]])
    assert pooler.ended == 4
