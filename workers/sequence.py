"""One sequence from its start command to its end, in messages for the router."""

import logging
import time
from collections.abc import Sequence as Tokens

from common.errors import Internal, PaddockError
from common.outbox import Outbox
from protos.paddock.v1 import generation_pb2, worker_pb2
from workers.answer import Answer
from workers.models import Models
from workers.output.make import make_reader
from workers.prompt import make_prompt
from workers.segments import Segments

logger = logging.getLogger(__name__)


class Sequence:
    """Runs one sequence and puts what each engine step adds to it into the outbox."""

    def __init__(self, start: worker_pb2.StartSequence, outbox: Outbox) -> None:
        self._start = start
        self._number = start.sequence
        self._outbox = outbox
        self._started = time.monotonic_ns()
        self._load_duration = 0
        self._untold: Segments | None = None  # whose first usage is yet to be told

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
        start, generation = self._start, self._start.generation
        keep_alive = start.keep_alive if start.HasField("keep_alive") else None
        async with models.use(start.spec, keep_alive) as ready:
            self._load_duration = time.monotonic_ns() - self._started
            prompt = await make_prompt(ready, start.spec, generation)
            reader = await make_reader(ready, start.spec, generation, prompt)
            answer = Answer(ready, prompt, generation, reader, self, start.tokens)
            self._untold = answer.segments
            await answer.run()
            self._complete(answer)

    def add_text(self, content: str, tokens: Tokens[int]) -> None:
        """Add content and the tokens that were generated for it; see `Output`."""
        if len(tokens) == 1 and self._untold is None:
            self._outbox.add_text(self._number, content, tokens[0])
        else:
            delta = self.delta()
            delta.content += content
            delta.tokens.extend(tokens)

    def delta(self) -> generation_pb2.Delta:
        """Give the delta to which something else is added at once; see `Output`."""
        delta = self._outbox.update(self._number).delta
        if self._untold:
            delta.usage.CopyFrom(self._first_usage(self._untold))
            self._untold = None
        return delta

    def _complete(self, answer: Answer) -> None:
        completed = generation_pb2.Completed(reason=answer.reason, usage=self._usage(answer))
        generation = self._start.generation
        if generation.HasField("completion") and not generation.completion.raw:
            completed.context.extend(answer.segments.held)
        self._outbox.update(self._number).completed.CopyFrom(completed)

    def _first_usage(self, segments: Segments) -> generation_pb2.Usage:
        return generation_pb2.Usage(
            prompt_tokens=segments.prompt_tokens,
            load_duration=self._load_duration,
            prompt_duration=segments.timing.prompt,
        )

    def _usage(self, answer: Answer) -> generation_pb2.Usage:
        segments = answer.segments
        return generation_pb2.Usage(
            prompt_tokens=segments.prompt_tokens,
            completion_tokens=segments.answered,
            total_duration=time.monotonic_ns() - self._started,
            load_duration=self._load_duration,
            prompt_duration=segments.timing.prompt,
            completion_duration=segments.timing.completion,
        )

    def _fail(self, error: PaddockError) -> None:
        failure = generation_pb2.Failure(reason=error.reason(), message=error.message)
        self._outbox.update(self._number).failure.CopyFrom(failure)
