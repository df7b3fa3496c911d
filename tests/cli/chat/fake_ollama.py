"""An Ollama server that answers as a test tells it to, and remembers what it was asked."""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

_FIGURES = {
    "total_duration": 2_000_000_000,
    "prompt_eval_count": 26,
    "eval_count": 10,
    "eval_duration": 500_000_000,
}
_EMBED_FIGURES = {"total_duration": 15_000_000, "prompt_eval_count": 3}
_PATIENCE = 10.0  # seconds


@dataclass
class Answer:
    """How one question is answered."""

    parts: list[dict[str, Any]] = field(default_factory=list)
    """Messages, or pieces of them."""
    ending: str = "done"
    """`done`; `drop` the connection; `hold` it; `error` line; `short`: no last part."""


@dataclass
class FakeOllama:
    """Its state; tests change it while it runs."""

    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What `/api/show` says of each."""
    answers: deque[Answer] = field(default_factory=deque)
    """To the next questions; after the last one `Yes.`"""
    refusal: tuple[int, str] | None = None
    """Status and message of the next answer to `/api/chat` and `/api/generate`."""
    may_load: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Paths and bodies, as they came in."""
    abandoned: threading.Event = field(default_factory=threading.Event)
    """The client closed the connection before the answer was complete."""
    url: str = ""

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """What was asked on one path."""
        return [body for asked, body in self.asked if asked == path]

    def chats(self) -> list[list[tuple[str, str]]]:
        """Role and content of all messages of each question of a session."""
        return [
            [(message["role"], message["content"]) for message in body["messages"]]
            for body in self.bodies("/api/chat")
        ]


@contextmanager
def fake_ollama(*capabilities: str, **shown: Any) -> Iterator[FakeOllama]:
    """Run a server with a model `fake`."""
    capabilities = ("completion", *capabilities)
    fake = FakeOllama({"fake": {"capabilities": capabilities, **shown}})
    fake.may_load.set()
    stopped = threading.Event()
    started = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(fake, started, stopped)))
    thread.start()
    try:
        assert started.wait(_PATIENCE)
        yield fake
    finally:
        stopped.set()
        fake.may_load.set()
        thread.join()


async def _serve(fake: FakeOllama, started: threading.Event, stopped: threading.Event) -> None:
    application = web.Application(client_max_size=2**24)
    handlers = _Handlers(fake)
    for path, handler in (
        ("/api/show", handlers.show),
        ("/api/generate", handlers.generate),
        ("/api/chat", handlers.chat),
        ("/api/embed", handlers.embed),
        ("/api/create", handlers.progress),
        ("/api/pull", handlers.progress),
    ):
        application.router.add_post(path, handler)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    started.set()
    await _until(stopped.is_set)
    await runner.cleanup()


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


class _Handlers:
    def __init__(self, fake: FakeOllama) -> None:
        self._fake = fake

    async def show(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        shown = self._fake.models.get(body["model"])
        if shown is None:
            return _error(404, f"model '{body['model']}' not found")
        return web.json_response(shown)

    async def generate(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        if not body.get("prompt") and not body.get("images"):
            await _until(self._fake.may_load.is_set)
            if not self._fake.refusal:
                return web.json_response({"model": body["model"], "response": "", "done": True})
        return await self._answer(
            request, lambda part: {"response": part.get("content", ""), **part}
        )

    async def chat(self, request: web.Request) -> web.StreamResponse:
        await self._body(request)
        return await self._answer(request, lambda part: {"message": {"role": "assistant", **part}})

    async def embed(self, request: web.Request) -> web.Response:
        await self._body(request)
        return web.json_response(
            {"model": "fake", "embeddings": [[0.5, -1e-05, 0.25]], **_EMBED_FIGURES}
        )

    async def progress(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        self._fake.models.setdefault(body["model"], {"capabilities": ["completion"]})
        lines = [{"status": "working"}, {"status": "success"}]
        return web.Response(text="".join(json.dumps(line) + "\n" for line in lines))

    async def _body(self, request: web.Request) -> dict[str, Any]:
        body: dict[str, Any] = await request.json()
        self._fake.asked.append((request.path, body))
        return body

    async def _answer(
        self, request: web.Request, line: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> web.StreamResponse:
        if self._fake.refusal:
            status, message = self._fake.refusal
            self._fake.refusal = None
            return _error(status, message)
        answers = self._fake.answers
        answer = answers.popleft() if answers else Answer([{"content": "Yes."}])
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        try:
            for part in answer.parts:
                await _send(response, {"done": False, **line(part)})
            await self._end(request, response, answer.ending, line({"content": ""}))
        except asyncio.CancelledError:
            self._fake.abandoned.set()
            raise
        return response

    async def _end(
        self, request: web.Request, response: web.StreamResponse, how: str, last: dict[str, Any]
    ) -> None:
        if how == "done":
            await _send(response, {"done": True, "done_reason": "stop", **_FIGURES, **last})
        elif how == "error":
            await _send(response, {"error": "the worker is gone"})
        elif how == "drop":
            assert request.transport
            request.transport.close()
        elif how == "hold":
            await asyncio.Event().wait()


async def _send(response: web.StreamResponse, line: dict[str, Any]) -> None:
    await response.write(json.dumps(line).encode() + b"\n")


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
