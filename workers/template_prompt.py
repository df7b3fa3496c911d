"""From messages to text by a model's Go template, as Ollama fills one in."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from common.gotemplate.limits import Budget
from common.gotemplate.values import NilSlice
from common.model_template import ModelTemplate
from protos.paddock.v1 import generation_pb2
from workers.template_values import bind_message, bind_tools

_LEVELS = {
    generation_pb2.THINK_ON: "medium",
    generation_pb2.THINK_LOW: "low",
    generation_pb2.THINK_MEDIUM: "medium",
    generation_pb2.THINK_HIGH: "high",
    generation_pb2.THINK_MAX: "max",
}
_IMAGE_PLACE = "[img]"


def render_template(
    template: ModelTemplate,
    generation: generation_pb2.Generation,
    messages: Sequence[generation_pb2.Message],
    budget: Budget | None = None,
) -> str:
    """Give the prompt that a template makes of messages.

    Images appear as `[img-N]`, N counting them over all messages: at the place of an `[img]`
    in the message's content, else at its beginning. Consecutive messages of one role are one,
    their contents apart by an empty line, except those of tools. A template that uses
    `.Messages` gets them all; another one is run once a turn, with `.System`, `.Prompt` and
    `.Response`, and ends with the last turn's response. Renderings of one request may share a
    budget.

    Raises:
        TemplateError: the template fails on the messages.
        InvalidRequest: the JSON of a tool or of a call's arguments is wrong.
    """
    turns = _collate(messages)
    if not template.uses("messages"):
        return _render_turns(template, turns, _thinking(generation.think), budget or Budget())
    system = (turn.content for turn in turns if turn.message.role == "system")
    return template.template.execute(
        {
            "System": "\n\n".join(system),
            "Messages": [bind_message(turn.message, turn.content) for turn in turns] or NilSlice(),
            "Tools": bind_tools(generation.chat.tools_json),
            "Response": "",
            **_thinking(generation.think),
        },
        budget,
    )


def render_insert(template: ModelTemplate, completion: generation_pb2.Completion) -> str:
    """Give the prompt that asks for what goes between a prompt and its suffix.

    Raises:
        TemplateError: the template fails.
    """
    return template.template.execute(
        {
            "Prompt": completion.prompt,
            "Suffix": completion.suffix,
            "Response": "",
            **_thinking(generation_pb2.THINK_UNSPECIFIED),
        }
    )


def _thinking(think: generation_pb2.Think.ValueType) -> dict[str, object]:
    return {
        "Think": think in _LEVELS,
        "ThinkLevel": _LEVELS.get(think, ""),
        "IsThinkSet": think != generation_pb2.THINK_UNSPECIFIED,
    }


@dataclass
class _Turn:
    """Consecutive messages of one role: the first of them, and what all of them say."""

    message: generation_pb2.Message
    content: str


def _collate(messages: Iterable[generation_pb2.Message]) -> list[_Turn]:
    turns: list[_Turn] = []
    for message, content in _with_image_tags(messages):
        if turns and turns[-1].message.role == message.role != "tool":
            turns[-1].content += f"\n\n{content}"
        else:
            turns.append(_Turn(message, content))
    return turns


def _with_image_tags(
    messages: Iterable[generation_pb2.Message],
) -> Iterator[tuple[generation_pb2.Message, str]]:
    count = 0
    for message in messages:
        prefix, content = "", message.content
        for _ in message.images:
            tag = f"[img-{count}]"
            count += 1
            if _IMAGE_PLACE in content:
                content = content.replace(_IMAGE_PLACE, tag, 1)
            else:
                prefix += tag
        yield message, prefix + content


def _render_turns(
    template: ModelTemplate,
    turns: Iterable[_Turn],
    thinking: dict[str, object],
    budget: Budget,
) -> str:
    """Run the template once a turn: a system prompt, a prompt and its response, where given.

    A turn ends where what comes next would replace something in it. Messages of other roles,
    as of tools, have no place in this form.
    """
    rendered: list[str] = []
    said: dict[str, str] = {}
    for turn in turns:
        field = _FIELDS.get(turn.message.role)
        if field is None:
            continue
        if field != "Response" and (said.get("Prompt") or said.get("Response")):
            data = {**_NOTHING_SAID, **said, **thinking}
            rendered.append(template.template.execute(data, budget))
            said = {}
        said[field] = turn.content
    data = {**_NOTHING_SAID, **said, **thinking}
    rendered.append(template.until_response.execute(data, budget))
    return "".join(rendered)


_FIELDS = {"system": "System", "user": "Prompt", "assistant": "Response"}
_NOTHING_SAID = {"System": "", "Prompt": "", "Response": ""}
