"""Real engines: an answer whose worker is killed goes on on another one, with the same text."""

from pathlib import Path

from tests.integration.cluster import Shape, running_cluster
from tests.integration.load import running_load, undisturbed
from tests.integration.questions import Question

_OPTIONS = {"temperature": 0, "num_predict": 400}
_NUMBERS = {"type": "array", "items": {"type": "integer"}, "minItems": 150}
_CITY = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "numbers": _NUMBERS},
    "required": ["name", "numbers"],
}
_STEP = 20  # lines: more than can have been on their way when the worker was killed


def _chat(content: str, **more: object) -> Question:
    messages = [{"role": "user", "content": content}]
    return Question(
        content,
        "/api/chat",
        {"model": "demo", "messages": messages, "options": _OPTIONS} | more,
    )


_QUESTIONS = [
    _chat("Tell me a story."),
    _chat("Which city?", format=_CITY),
    _chat("Tell me a long story, please."),
    _chat("Which numbers?", format=_NUMBERS),
]


async def test_greedy_text_and_json_are_the_same(tmp_path: Path, demo_store: Path) -> None:
    shape = Shape(workers=2, worker_flags=("--memory-budget", "3GiB"))
    async with running_cluster(tmp_path, demo_store, shape) as cluster:
        expected = await undisturbed(cluster.gateways[0], _QUESTIONS)
        async with running_load(cluster.gateways, expected, len(_QUESTIONS)) as load:
            await load.under_way()
            (model,) = (await cluster.get("/api/ps"))["models"]
            await cluster.worker(model["worker"]).kill()
            interrupted = {stream: stream.lines for stream in load.streams}
            await load.turnover()
        assert all(stream.lines > lines + _STEP for stream, lines in interrupted.items())
