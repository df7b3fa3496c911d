"""Tool calls written as JSON objects, whatever stands around them.

What Ollama's generic parser takes is taken: an object with `name` (or `tool_name`, as Cohere's
models write it) and `arguments` or `parameters`, at any depth, the arguments being an object
or a string that holds one; an object whose key is a tool's name; or the arguments alone after
the name. A call must name one of the tools on offer: any other object is text.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

_DEEPEST = 8
# A brace that opens no object may cost as much as reading all that follows it. Calls have few
# such braces before them; only nonsense or code has more.
_MOST_FAILURES = 100
_DECODER = json.JSONDecoder()
# What may stand after calls and means nothing: brackets, closing tags, special tokens.
_PUNCTUATION = re.compile(r"(?:[\s,;\[\]`]|</[^<>]*>|<[|｜][^<>]*[|｜]>)*")  # noqa: RUF001


@dataclass(frozen=True)
class Call:
    """A tool's name, and its arguments as the text of a JSON object."""

    name: str
    arguments: str


@dataclass
class Reading:
    """The calls of a block, and the text in it that belongs to none of them."""

    calls: list[Call] = field(default_factory=list)
    rest: str = ""


class ToolNames:
    """The names of the tools on offer."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def last_in(self, text: str) -> str | None:
        """Find the tool that is named last in a text; of two that end there, the longer."""
        if not self._names:
            return None
        found = [(match.end(1), len(match[1]), match[1]) for match in self._named.finditer(text)]
        return max(found)[2] if found else None

    @cached_property
    def _named(self) -> re.Pattern[str]:
        """Matches where a name begins, the longest first: names may overlap."""
        names = "|".join(map(re.escape, sorted(self._names, key=len, reverse=True)))
        return re.compile(rf"(?<![\w-])(?=({names})(?![\w-]))")


def read_json_calls(block: str, names: ToolNames) -> Reading:
    """Find the calls in a block; without one, all of it is the rest.

    After too many braces that open no object, what follows is text.
    """
    reading = Reading()
    position = 0
    for start, end, value in _objects(block):
        if calls := _calls(value, block[position:start], names):
            reading.calls += calls
        else:
            reading.rest += block[position:end]
        position = end
    tail = block[position:]
    if not _PUNCTUATION.fullmatch(tail):
        reading.rest += tail
    return reading if reading.calls else Reading(rest=block)


def arguments_text(arguments: Any) -> str | None:
    """Give arguments as JSON text, their order kept; None where they are no object.

    A string stands for the object written in it, nothing for an empty one.
    """
    try:
        if isinstance(arguments, str):
            arguments = json.loads(arguments) if arguments.strip() else {}
        if arguments is None:
            arguments = {}
        if not isinstance(arguments, dict):
            return None
        text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
        orjson.loads(text)  # Python writes lone surrogates, which nobody else reads
    except (ValueError, RecursionError):
        return None
    return text


def _objects(text: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Give the outermost JSON objects of a text with where they begin and end."""
    start, failures = text.find("{"), 0
    while start >= 0 and failures < _MOST_FAILURES:
        end = start + 1
        try:
            value, end = _DECODER.raw_decode(text, start)
        except ValueError:
            failures += 1
        except RecursionError:
            return
        else:
            yield start, end, value
        start = text.find("{", end)


def _calls(value: dict[str, Any], before: str, names: ToolNames) -> list[Call]:
    found = list(_within(value, names, _DEEPEST))
    if not found and not _is_a_call(value, names) and (name := names.last_in(before)):
        found = [(name, value)]
    calls = [(name, arguments_text(arguments)) for name, arguments in found]
    return [Call(name, arguments) for name, arguments in calls if arguments is not None]


def _within(value: Any, names: ToolNames, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list) and depth:
        for each in value:
            yield from _within(each, names, depth - 1)
    if not isinstance(value, dict):
        return
    if _is_a_call(value, names):
        if (name := _called(value)) in names:
            yield name, value.get("arguments", value.get("parameters"))
        return
    keys = [key for key in value if key in names and isinstance(value[key], dict)]
    if keys:
        yield keys[0], value[keys[0]]
    elif depth:
        for each in value.values():
            yield from _within(each, names, depth - 1)


def _is_a_call(value: dict[str, Any], names: ToolNames) -> bool:
    """Tell whether an object has the form of a call, of whichever tool."""
    name = _called(value)
    return name in names or (bool(name) and ("arguments" in value or "parameters" in value))


def _called(value: dict[str, Any]) -> str:
    """Give the name in an object that may be a call; empty: it has none."""
    name = value.get("name", value.get("tool_name"))
    return name if isinstance(name, str) else ""
