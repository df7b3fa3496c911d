"""What vLLM's core puts out, handed to the sequences that it is of.

It stands where `AsyncLLM` has its output handler, which does for every token of every sequence
what nobody here asks for: an object of the request with all of its prompt, a dozen statistics,
a stop in the middle of a step for every 128 of them. (vLLM 0.32: `vllm.v1.engine.async_llm`.)
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Generic, TypeVar

from vllm.inputs.engine import MultiModalInput, TokensInput
from vllm.lora.request import LoRARequest
from vllm.pooling_params import PoolingParams
from vllm.sampling_params import SamplingParams
from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.metrics.stats import SchedulerStats

logger = logging.getLogger(__name__)

T = TypeVar("T")

Read = Callable[[EngineCoreOutput, float], T | None]
"""Makes something of what came at a time, in seconds of the monotonic clock; None: nothing."""
Take = Callable[[T], bool]
"""Takes something at once, or tells that it does not; see the engine seam."""


class CoreRun(Generic[T]):
    """One sequence in the core.

    Args:
        read: is given what comes.
        take: is offered what was made of it, as long as somebody waits for the next of that.
    """

    def __init__(self, read: Read[T], take: Take[T] | None = None) -> None:
        self._read = read
        self._take = take
        self._made: deque[T] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None

    async def next(self) -> T:
        """Give what was made next and not taken.

        Raises:
            EngineDeadError: there will be no more; or else what `read` raised.
        """
        while not self._made:
            if self._error:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._made.popleft()

    def put(self, output: EngineCoreOutput, time: float) -> None:
        """Add what came, unless it has failed."""
        if self._error:
            return
        try:
            made = self._read(output, time)
            if made is None or (self._is_waited_for and self._take and self._take(made)):
                return
        except Exception as error:
            self.fail(error)
        else:
            self._made.append(made)
            self._wake()

    def fail(self, error: Exception) -> None:
        """Let it fail after what came."""
        self._error = self._error or error
        self._wake()

    @property
    def _is_waited_for(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

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
        self._runs: dict[str, CoreRun[Any]] = {}
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
        return self._llm.input_processor.process_inputs(
            f"{next(self._numbers)}", given, parameters, tasks, lora_request=adapter
        )

    @asynccontextmanager
    async def run(
        self, request: EngineCoreRequest, read: Read[T], take: Take[T] | None = None
    ) -> AsyncIterator[CoreRun[T]]:
        """Run a sequence within the block; what the core has not ended by then is aborted.

        Raises:
            EngineDeadError: the core died.
        """
        if self._llm.errored:
            raise EngineDeadError
        if self._llm.output_handler is None:  # which it starts itself, did it run anything
            self._llm.output_handler = asyncio.create_task(self._hand_out())
        number, core = request.request_id, self._llm.engine_core
        run = self._runs[number] = CoreRun(read, take)
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
                # The youngest first, which vLLM has last: what they wait for is their first token.
                for output in reversed(step.outputs):
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
            run.fail(EngineDeadError())
        self._runs.clear()
