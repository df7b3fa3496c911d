"""vLLM behind the engine seam: `AsyncLLM` here, its core in a process of its own.

Importing this module imports vLLM, which takes seconds: only the factory does it.
"""

import asyncio
import copy
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import cast

from vllm.exceptions import VLLMClientError
from vllm.inputs.engine import MultiModalInput, TokensInput, tokens_input
from vllm.lora.request import LoRARequest
from vllm.pooling_params import PoolingParams
from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from common.errors import CapabilityMissing, InvalidRequest, LoadFailed, WorkerLost
from protos.paddock.v1 import generation_pb2
from workers.engine import Limits, Occupancy, Plan, Prompt, Step, Take, Tokenizer
from workers.images import ImageLimits
from workers.logprobs import LogprobReader
from workers.parallelism import Parallelism
from workers.sampling import sampling_params
from workers.tasks import run_all
from workers.token_bytes import TokenBytes
from workers.vllm_arguments import engine_arguments
from workers.vllm_continuation import Continuation
from workers.vllm_images import PromptImages, sees_images
from workers.vllm_outputs import Outputs
from workers.vllm_start import death_reason, end, start
from workers.vllm_statistics import occupancy
from workers.vllm_steps import StepReader

logger = logging.getLogger(__name__)

_HEALTH_INTERVAL = 0.1


class VllmEngine:
    """One model on vLLM."""

    def __init__(
        self,
        llm: AsyncLLM,
        name: str,
        limits: Limits,
        *,
        pooling: bool,
        images: PromptImages | None = None,
    ) -> None:
        self._llm = llm
        self._name = name
        self._limits = limits
        self._pooling = pooling
        self._images = images
        self._outputs = Outputs(llm)
        self._adapter: LoRARequest | None = None
        self._adapter_numbers: dict[str, int] = {}

    @classmethod
    async def start(
        cls,
        name: str,
        folder: Path,
        plan: Plan,
        *,
        pooling: bool,
        max_sequences: int,
        accelerator: bool,
        images: ImageLimits,
        parallelism: Parallelism = Parallelism(),  # noqa: B008
    ) -> "VllmEngine":
        """Start the engine's process with the model in `folder`.

        Cancelled, it ends that process.

        Raises:
            LoadFailed: vLLM refused the model, or died of it.
        """
        arguments = engine_arguments(
            name,
            folder,
            plan,
            pooling=pooling,
            max_sequences=max_sequences,
            accelerator=accelerator,
            max_images=images.images,
            parallelism=parallelism,
        )
        llm = await start(arguments)
        limits = Limits(llm.model_config.max_model_len, max_sequences, accelerator)
        sight = PromptImages(llm, images) if sees_images(llm) and not pooling else None
        engine = cls(llm, name, limits, pooling=pooling, images=sight)
        await engine._try_out()
        return engine

    async def _try_out(self) -> None:
        """Compute one token: what an engine lacks for a model may show only then.

        Raises:
            LoadFailed: it died of that.
        """
        try:
            if self._pooling:
                await self.embed([[0]])
                return
            await self._try_prompt(Prompt([0]))
            if self._images:
                await self._try_image(self._images.sample())
        except BaseException as error:
            reason = death_reason(self._llm)
            await self.aclose()
            if isinstance(error, WorkerLost):
                raise LoadFailed(f"the engine cannot run this model: {reason}") from error
            raise

    async def _try_image(self, prompt: Prompt) -> None:
        try:
            await self._try_prompt(prompt)
        except InvalidRequest as error:
            logger.warning("%s was not tried out with an image: %s", self._name, error)

    async def _try_prompt(self, prompt: Prompt) -> None:
        options = generation_pb2.Options(num_predict=1, temperature=0)
        steps = self.generate(prompt, generation_pb2.Generation(options=options))
        async with aclosing(steps):
            async for _ in steps:
                pass

    @property
    def limits(self) -> Limits:
        """What it can hold."""
        return self._limits

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        return cast(Tokenizer, self._llm.get_tokenizer())

    @property
    def image_placeholder(self) -> str | None:
        """The text that stands for one image; see the seam."""
        return self._images.placeholder if self._images else None

    async def generate(
        self, prompt: Prompt, generation: generation_pb2.Generation, take: Take | None = None
    ) -> AsyncGenerator[Step, None]:
        """Continue a prompt; see the seam."""
        if self._pooling:
            raise CapabilityMissing(f'"{self._name}" does not support generate')
        with _engine_errors():
            async with self._input(prompt) as given:
                request = await self._request(given, prompt, generation)
                reader = StepReader(self.tokenizer, request, self._logprobs(prompt, generation))
                answer = Continuation(given, request, prompt.generated)
                for again in answer.again():
                    yield (step := reader.read(again, None))
                    if step.reason:
                        return
                if prompt.generated:
                    request = await self._outputs.make_request(*answer.rest(), self._adapter)

                def read(output: EngineCoreOutput, at: float) -> Step | None:
                    return reader.read(output, at) if answer.follow(output) else None

                async with self._outputs.run(request, read, take) as run:
                    ended = False
                    while not ended:
                        step = await run.next()
                        ended = bool(step.reason)
                        yield step

    async def _request(
        self,
        given: TokensInput | MultiModalInput,
        prompt: Prompt,
        generation: generation_pb2.Generation,
    ) -> EngineCoreRequest:
        tokens, limits = len(given["prompt_token_ids"]), self._limits
        parameters = sampling_params(
            generation, tokens, limits.context_length, accelerator=limits.accelerator
        )
        parameters.skip_special_tokens = not prompt.special_tokens
        return await self._outputs.make_request(given, parameters, self._adapter)

    def _logprobs(
        self, prompt: Prompt, generation: generation_pb2.Generation
    ) -> LogprobReader | None:
        if not generation.HasField("logprobs"):
            return None
        return LogprobReader(
            self._token_bytes, generation.logprobs, special_tokens=prompt.special_tokens
        )

    @cached_property
    def _token_bytes(self) -> TokenBytes:
        return TokenBytes(self.tokenizer)

    @asynccontextmanager
    async def _input(self, prompt: Prompt) -> AsyncIterator[TokensInput | MultiModalInput]:
        if not prompt.images:
            yield tokens_input(list(prompt.tokens))
        elif self._images is None:
            raise CapabilityMissing(f'"{self._name}" does not support images')
        else:
            async with self._images.processed(prompt) as processed:
                yield processed

    async def adapt(self, name: str, folder: Path) -> "VllmEngine":
        """Give this engine with an adapter; see the seam.

        One that vLLM cannot read would end the engine when a sequence comes with it, so it is
        tried out before.
        """
        number = self._adapter_numbers.setdefault(name, len(self._adapter_numbers) + 1)
        request = LoRARequest(name, number, str(folder))
        try:
            await self._llm.add_lora(request)
        except EngineDeadError as error:
            raise WorkerLost from error
        except Exception as error:
            reason = str(error).removeprefix("Call to add_lora method failed: ")
            raise LoadFailed(f"the engine refused the adapter: {reason}") from error
        adapted = copy.copy(self)
        adapted._adapter = request
        return adapted

    async def embed(self, prompts: list[list[int]]) -> list[list[float]]:
        """Pool prompts; see the seam."""
        if not self._pooling:
            raise CapabilityMissing(f'"{self._name}" does not support embeddings')
        return await run_all(self._embed(prompt) for prompt in prompts)

    async def _embed(self, prompt: list[int]) -> list[float]:
        parameters = PoolingParams(task="embed", use_activation=False)
        with _engine_errors():
            request = await self._outputs.make_request(tokens_input(prompt), parameters)
            async with self._outputs.run(request, lambda output, _: output) as run:
                output = await run.next()
        if output.pooling_output is None:
            raise WorkerLost
        vector: list[float] = output.pooling_output.tolist()
        return vector

    async def sleep(self) -> None:
        """Move the weights to the machine's memory; see the seam."""
        with _engine_errors():
            await self._llm.sleep(level=1)

    async def wake(self) -> None:
        """Move them back; see the seam."""
        with _engine_errors():
            await self._llm.wake_up()

    @property
    def occupancy(self) -> Occupancy:
        """How full it is; see the seam."""
        return occupancy(self._outputs.statistics, busy=self._outputs.busy)

    @property
    def alive(self) -> bool:
        """Whether the core runs."""
        return not self._llm.errored

    async def died(self) -> None:
        """Return when the core has died; see the seam."""
        while self.alive:  # noqa: ASYNC110
            await asyncio.sleep(_HEALTH_INTERVAL)  # vLLM has no event for it

    async def aclose(self) -> None:
        """End the core; see the seam."""
        if self._images:
            self._images.close()
        await self._outputs.aclose()
        await asyncio.to_thread(end, self._llm)


@contextmanager
def _engine_errors() -> Iterator[None]:
    """Raise our errors for vLLM's."""
    try:
        yield
    except EngineDeadError as error:
        raise WorkerLost from error
    except (VLLMClientError, ValueError) as error:
        raise InvalidRequest(str(error)) from error
