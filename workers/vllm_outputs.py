"""What vLLM's core puts out, handed to the sequences that it is of.

It stands where `AsyncLLM` has its output handler, which does for every token of every sequence
what nobody here asks for: an object of the request with all of its prompt, a dozen statistics,
a stop in the middle of a step for every 128 of them. (vLLM 0.32: `vllm.v1.engine.async_llm`.)
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from vllm.inputs.engine import MultiModalInput, TokensInput
from vllm.lora.request import LoRARequest
from vllm.pooling_params import PoolingParams
from vllm.sampling_params import SamplingParams
from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.metrics.stats import SchedulerStats

logger = logging.getLogger(__name__)


class CoreRun:
    """One sequence in the core."""

    def __init__(self) -> None:
        self._came: deque[tuple[EngineCoreOutput, float]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._failed = False

    async def next(self) -> tuple[EngineCoreOutput, float]:
        """Give what the core put out for it next, and when, in seconds of the monotonic clock.

        Raises:
            EngineDeadError: there will be no more.
        """
        while not self._came:
            if self._failed:
                raise EngineDeadError
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._came.popleft()

    def put(self, output: EngineCoreOutput, time: float) -> None:
        """Add what came."""
        self._came.append((output, time))
        self._wake()

    def fail(self) -> None:
        """Let it fail after what came."""
        self._failed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)


class Outputs:
    """Runs sequences in the core of an engine.

    All that a step put out is handed over before any of its sequences goes on.
    """

    def __init__(self, llm: AsyncLLM) -> None:
        self.statistics: SchedulerStats | None = None
        """As of the last step."""
        self._llm = llm
        self._runs: dict[str, CoreRun] = {}
        self._numbers = count()

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        return bool(self._runs)

    async def make_request(
        self,
        given: TokensInput | MultiModalInput,
        parameters: SamplingParams | PoolingParams,
        adapter: LoRARequest | None = None,
    ) -> EngineCoreRequest:
        """Check and complete what the core is asked for.

        Raises:
            ValueError: vLLM does not take it.
        """
        tasks = await self._llm.get_supported_tasks()
        processor = self._llm.input_processor
        request = processor.process_inputs(
            f"{next(self._numbers)}", given, parameters, tasks, lora_request=adapter
        )
        processor.assign_request_id(request)
        return request

    @asynccontextmanager
    async def run(self, request: EngineCoreRequest) -> AsyncIterator[CoreRun]:
        """Run a sequence within the block; what the core has not ended by then is aborted.

        Raises:
            EngineDeadError: the core died.
        """
        if self._llm.errored:
            raise EngineDeadError
        if self._llm.output_handler is None:  # which it starts itself, did it run anything
            self._llm.output_handler = asyncio.create_task(self._hand_out())
        number, core = request.request_id, self._llm.engine_core
        run = self._runs[number] = CoreRun()
        try:
            await core.add_request_async(request)
            yield run
        finally:
            if self._runs.pop(number, None):
                await core.abort_requests_async([number])

    async def aclose(self) -> None:
        """Let everything fail that still runs."""
        if handler := self._llm.output_handler:
            handler.cancel()
            await asyncio.wait({handler})
        self._fail()

    async def _hand_out(self) -> None:
        try:
            while True:
                step = await self._llm.engine_core.get_output_async()
                self.statistics = step.scheduler_stats or self.statistics
                for output in step.outputs:
                    if run := self._runs.get(output.request_id):
                        run.put(output, step.timestamp)
                        if output.finish_reason is not None:
                            del self._runs[output.request_id]
        except EngineDeadError:
            self._fail()
        except Exception:
            logger.exception("vLLM's outputs cannot be read")
            self._fail()

    def _fail(self) -> None:
        for run in self._runs.values():
            run.fail()
        self._runs.clear()
