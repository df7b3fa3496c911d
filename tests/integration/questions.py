"""What clients of a cluster ask, and what they get: answers that are the same every time."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import ollama
import orjson

_SCHEMA = {
    "type": "object",
    "properties": {
        "words": {"type": "array", "items": {"type": "string"}, "minItems": 25},
        "count": {"type": "integer"},
    },
    "required": ["words", "count"],
}


class Broken(Exception):
    """The connection broke before the answer was complete."""


class Refused(Exception):
    """No connection came about: nothing was asked."""


class Wrong(Exception):
    """What came is no answer."""


@dataclass(frozen=True)
class Question:
    """One streamed request."""

    name: str
    path: str
    body: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Answer:
    """All that a client sees of a complete answer, but for durations."""

    text: str
    tokens: int
    prompt_tokens: int
    reason: str
    thinking: str = ""
    logprobs: tuple[str, ...] = ()
    context: tuple[int, ...] = ()


Progress = Callable[[int], None]
"""Is told after each line how many characters have come."""


def make_questions(model: str, count: int) -> list[Question]:
    """Make different questions of every kind."""
    return [_KINDS[number % len(_KINDS)](model, number) for number in range(count)]


async def ask(url: str, question: Question, progress: Progress) -> Answer:
    """Send a question; read its answer line by line.

    Raises:
        Refused, Broken, Wrong: see there.
    """
    connector = aiohttp.TCPConnector(force_close=True)
    timeout = aiohttp.ClientTimeout(total=None)
    transcript = Transcript(progress)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.post(url + question.path, data=orjson.dumps(question.body)) as answer,
        ):
            if answer.status != 200:
                raise Wrong(f"status {answer.status}: {await answer.text()}")
            async for line in answer.content:
                transcript.add(orjson.loads(line))
    except aiohttp.ClientConnectorError as error:
        raise Refused(str(error)) from error
    except (aiohttp.ClientError, ConnectionError) as error:
        raise Broken(f"{type(error).__name__} after {transcript}") from error
    return transcript.answer()


async def ask_officially(url: str, question: Question, progress: Progress) -> Answer:
    """Send a question with the official client; see `ask`."""
    transcript = Transcript(progress)
    client = ollama.AsyncClient(url)
    method = client.chat if question.path == "/api/chat" else client.generate
    try:
        parts: AsyncIterator[Any] = await method(**dict(question.body), stream=True)
        async for part in parts:
            transcript.add(part.model_dump(exclude_none=True))
    except ollama.ResponseError as error:
        raise Wrong(f"status {error.status_code}: {error.error}") from error
    except ConnectionError as error:
        raise Refused(str(error)) from error
    except Exception as error:
        if not type(error).__module__.startswith("httpx"):
            raise
        kind = Refused if type(error).__name__ == "ConnectError" else Broken
        raise kind(f"{type(error).__name__} after {transcript}") from error
    return transcript.answer()


class Transcript:
    """The lines of one answer."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._text = ""
        self._thinking = ""
        self._logprobs: list[str] = []
        self._last: Mapping[str, Any] = {}

    def add(self, line: Mapping[str, Any]) -> None:
        """Take a line.

        Raises:
            Wrong: it is an error, or comes after the last one.
        """
        if "error" in line:
            raise Wrong(f"the line {line} after {self}")
        if self._last:
            raise Wrong(f"the line {line} after the last one")
        part = line.get("message") or {"content": line.get("response", "")}
        self._text += part.get("content") or ""
        self._thinking += part.get("thinking") or line.get("thinking") or ""
        self._logprobs += [each["token"] for each in line.get("logprobs") or ()]
        if line.get("done"):
            self._last = line
        self._progress(len(self._text))

    def answer(self) -> Answer:
        """Give the answer.

        Raises:
            Wrong: its last line has not come, or its durations cannot be.
        """
        last = self._last
        if not last:
            raise Wrong(f"the stream ended without its last line, after {self}")
        _check_durations(last)
        return Answer(
            text=self._text,
            tokens=last["eval_count"],
            prompt_tokens=last["prompt_eval_count"],
            reason=last["done_reason"],
            thinking=self._thinking,
            logprobs=tuple(self._logprobs),
            context=tuple(last.get("context") or ()),
        )

    def __str__(self) -> str:
        return f"{len(self._text)} characters, which end with {self._text[-40:]!r}"


def _check_durations(last: Mapping[str, Any]) -> None:
    parts = ("load_duration", "prompt_eval_duration", "eval_duration")
    spent = [last.get(name) or 0 for name in parts]
    total = last["total_duration"]
    if min(spent) < 0 or sum(spent) > total * 1.05 + 5e6:
        raise Wrong(f"durations {dict(zip(parts, spent, strict=True))} in a total of {total}")


def _generate(model: str, number: int, options: Mapping[str, Any], **more: Any) -> Question:
    body = {"model": model, "prompt": f"Tell me story {number}.", "options": options} | more
    return Question(f"generate {number}", "/api/generate", body)


def _chat(model: str, number: int, options: Mapping[str, Any], **more: Any) -> Question:
    messages = [
        {"role": "system", "content": "You tell long stories."},
        {"role": "user", "content": f"Story {number}, please."},
    ]
    body = {"model": model, "messages": messages, "options": options} | more
    return Question(f"chat {number}", "/api/chat", body)


_GREEDY = {"temperature": 0}
_KINDS: list[Callable[[str, int], Question]] = [
    lambda model, number: _generate(model, number, _GREEDY),
    lambda model, number: _chat(model, number, _GREEDY),
    lambda model, number: _chat(model, number, {"seed": number}),
    lambda model, number: _generate(model, number, _GREEDY | {"num_predict": 70}),
    lambda model, number: _generate(model, number, _GREEDY, format=_SCHEMA),
    lambda model, number: _chat(model, number, _GREEDY | {"stop": [" zebra", " the"]}),
    lambda model, number: _chat(model, number, _GREEDY, logprobs=True, top_logprobs=1),
]
