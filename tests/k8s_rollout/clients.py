"""Clients of the cluster: they ask at the Service's address, and account for every stream."""

import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from tests.integration.calls import running_calls
from tests.integration.load import Load, running_load
from tests.integration.questions import Answer, Question, make_questions

Expected = Mapping[Question, Answer]

_CLIENTS = 8
_LONGEST = 100  # tokens


@dataclass(eq=False)
class Entrance:
    """The address of the gateways' Service."""

    address: str
    broken_since: float = math.inf
    """On the monotonic clock: when a gateway behind it was killed."""
    broken_until: float = -math.inf
    """When it was known that this gateway is away; until then connections are made in vain."""

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return "the service"

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://{self.address}"

    def was_killed(self, since: float) -> bool:
        """Tell whether a stream that began then may break now."""
        is_over = self.broken_until > self.broken_since and since > self.broken_until
        return time.monotonic() >= self.broken_since and not is_over


def questions() -> list[Question]:
    """Make questions of every kind, whose answers take a few seconds."""
    return [_short(question) for question in make_questions("demo", 14)]


def _short(question: Question) -> Question:
    options = {"num_predict": _LONGEST, **question.body["options"]}
    return replace(question, body={**question.body, "options": options})


@asynccontextmanager
async def streams(entrance: Entrance, expected: Expected) -> AsyncIterator[Load]:
    """Let clients stream; fail when a stream was lost."""
    async with running_load([entrance], expected, _CLIENTS) as load:
        await load.under_way()
        yield load
        await load.turnover()
        print(*load.report.notes, sep="\n")


@asynccontextmanager
async def traffic(entrance: Entrance, expected: Expected) -> AsyncIterator[Load]:
    """Let clients stream and make other calls; fail when one of all these is not answered."""
    async with running_calls(entrance.url) as calls, streams(entrance, expected) as load:
        yield load
    assert not calls.repeated


def long_question(tokens: int) -> Question:
    """Ask for an answer of so many tokens."""
    options = {"temperature": 0, "num_predict": tokens, "num_ctx": 8192}
    body = {"model": "demo", "prompt": "Tell me everything.", "options": options}
    return Question("a long answer", "/api/generate", body)
