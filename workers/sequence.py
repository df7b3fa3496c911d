"""One sequence from its start command to its end, in messages for the router."""

import logging
import time
from collections.abc import Callable
from contextlib import aclosing

from common.errors import Internal, PaddockError
from protos.paddock.v1 import generation_pb2, worker_pb2
from workers.engine import Engine, Prompt, Step
from workers.models import Models
from workers.prompt import render
from workers.window import refuse_hopeless

logger = logging.getLogger(__name__)

Put = Callable[[worker_pb2.SequenceUpdate], None]


class Sequence:
    """Runs one sequence and puts out what each engine step adds to it."""

    def __init__(self, start: worker_pb2.StartSequence, put: Put) -> None:
        self._start = start
        self._put = put
        self._started = time.monotonic_ns()
        self._load_duration = 0
        self._prompt = Prompt([])
        self._answer: list[int] = []

    async def run(self, models: Models) -> None:
        """Run to the end; whatever goes wrong becomes the sequence's failure."""
        try:
            await self._run(models)
        except PaddockError as error:
            self._fail(error)
        except Exception as error:
            logger.exception("a sequence of %s failed", self._start.spec.name)
            self._fail(Internal(f"internal error: {error}"))

    async def _run(self, models: Models) -> None:
        start = self._start
        keep_alive = start.keep_alive if start.HasField("keep_alive") else None
        async with models.use(start.spec, keep_alive) as ready:
            self._load_duration = time.monotonic_ns() - self._started
            refuse_hopeless(start.generation, ready.engine.limits.context_length)
            self._prompt = await ready.render(
                lambda tokenizer: render(tokenizer, start.spec.name, start.generation)
            )
            await self._generate(ready.engine)

    async def _generate(self, engine: Engine) -> None:
        steps = engine.generate(self._prompt, self._start.generation)
        async with aclosing(steps):
            async for step in steps:
                self._answer.extend(step.tokens)
                self._put(self._update(step))

    def _update(self, step: Step) -> worker_pb2.SequenceUpdate:
        update = worker_pb2.SequenceUpdate(sequence=self._start.sequence)
        if step.text or step.logprobs:
            update.delta.content = step.text
            update.delta.logprobs.extend(step.logprobs)
        if step.reason:
            update.completed.reason = step.reason
            update.completed.usage.CopyFrom(self._usage(step))
            if self._start.generation.HasField("completion"):
                self._add_context(update.completed)
        return update

    def _add_context(self, completed: generation_pb2.Completed) -> None:
        if not self._start.generation.completion.raw:
            completed.context.extend(self._prompt.tokens)
            completed.context.extend(self._answer)

    def _usage(self, step: Step) -> generation_pb2.Usage:
        timing = step.timing
        return generation_pb2.Usage(
            prompt_tokens=len(self._prompt.tokens),
            completion_tokens=len(self._answer),
            total_duration=time.monotonic_ns() - self._started,
            load_duration=self._load_duration,
            prompt_duration=timing.prompt if timing else 0,
            completion_duration=timing.completion if timing else 0,
        )

    def _fail(self, error: PaddockError) -> None:
        failure = generation_pb2.Failure(reason=error.reason(), message=error.message)
        self._put(worker_pb2.SequenceUpdate(sequence=self._start.sequence, failure=failure))
