"""The tokenizer's own chat template, a Jinja program by the model's makers.

Templates differ in what they take: text or lists of parts, images as parts or as text,
arguments of calls as objects or as text. What one takes is found out by trying it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from common.errors import InvalidRequest
from protos.paddock.v1.generation_pb2 import Message, Think
from workers.chat_messages import Content, plain_messages
from workers.chat_thinking import thinking_arguments
from workers.engine import Tokenizer
from workers.image_places import Placed, Placeholder, split_at_images

_PROBE = "Probe42"
_TEXT_PART = {"type": "text", "text": _PROBE}
_IMAGE_PART = {"type": "image"}


class ChatTemplate:
    """A tokenizer's template with a request's tools and wish to think."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        placeholder: Placeholder,
        think: Think.ValueType,
        tools: Sequence[str] = (),
    ) -> None:
        self._tokenizer = tokenizer
        self._placeholder = placeholder
        self._variables = thinking_arguments(_text(tokenizer.chat_template), think)
        self._tools = [orjson.loads(tool) for tool in tools] or None

    def render(self, messages: Sequence[Message]) -> Placed:
        """Render a conversation up to where the answer begins.

        An answer that was begun, a last message of the assistant's, is to be continued.

        Raises:
            InvalidRequest: the template refuses the messages.
        """
        content = self._content(any(message.images for message in messages))
        prefilled = bool(messages) and _is_begun_answer(messages[-1])
        failure: Exception | None = None
        for plain in _forms(messages, content):
            for continued in (True, False) if prefilled else (False,):
                try:
                    text = self._apply(plain, self._tools, continued=continued)
                except Exception as error:  # a template raises whatever its code makes it
                    failure = failure or error
                    continue
                return Placed(text, [image for each in messages for image in each.images])
        raise InvalidRequest(f"the model's chat template failed: {failure}") from failure

    def _apply(
        self,
        conversation: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None = None,
        *,
        continued: bool = False,
    ) -> str:
        rendered = self._tokenizer.apply_chat_template(
            conversation,
            tools=tools,
            tokenize=False,
            add_generation_prompt=not continued,
            continue_final_message=continued,
            **self._variables,
        )
        return str(rendered)

    def _content(self, has_images: bool) -> Callable[[Message], Content]:
        as_part = not self._prints(_PROBE) and self._prints([_TEXT_PART])
        places_images = has_images and self._prints(
            [_IMAGE_PART, _TEXT_PART], self._placeholder.text
        )

        def content(message: Message) -> Content:
            if message.images and places_images:
                return _parts(split_at_images(message))
            text = self._placeholder.insert(message)
            return _parts([text]) if as_part else text

        return content

    def _prints(self, content: Content, placeholder: str = "") -> bool:
        """Tell whether the template takes a message with such a content for what it is."""
        try:
            text = self._apply([{"role": "user", "content": content}])
        except Exception:  # as above
            return False
        return _PROBE in text and placeholder in text and "'type'" not in text


def _forms(
    messages: Sequence[Message], content: Callable[[Message], Content]
) -> Iterator[list[dict[str, Any]]]:
    """Give a conversation as most templates take it, then as those do that refuse that."""
    yield plain_messages(messages, content)
    if any(message.tool_calls for message in messages):
        yield plain_messages(messages, content, short_ids=True)
        yield plain_messages(messages, content, short_ids=True, arguments_as_text=True)


def _parts(pieces: Sequence[str | None]) -> list[dict[str, str]]:
    return [_IMAGE_PART if piece is None else {"type": "text", "text": piece} for piece in pieces]


def _is_begun_answer(message: Message) -> bool:
    return message.role == "assistant" and bool(message.content) and not message.tool_calls


def _text(template: Any) -> str:
    """Give a template's text; of several, which transformers chooses from, all of it."""
    return "\n".join(template.values()) if isinstance(template, dict) else str(template)
