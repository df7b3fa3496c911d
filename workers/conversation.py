"""Rendering a conversation with whichever template a request and its model have."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from common.gotemplate.limits import MAXIMUM_SECONDS, Budget
from common.model_template import ModelTemplate
from protos.paddock.v1 import generation_pb2
from protos.paddock.v1.generation_pb2 import Generation, Message, Think
from workers.chat_template import ChatTemplate
from workers.engine import Tokenizer
from workers.image_places import Placed, Placeholder
from workers.template_prompt import render_template


@dataclass(frozen=True)
class Conversation:
    """A request's conversation, or any shorter one of its messages, as a text."""

    tokenizer: Tokenizer
    placeholder: Placeholder
    generation: Generation
    think: Think.ValueType
    deadline: float = field(default_factory=lambda: time.monotonic() + MAXIMUM_SECONDS)
    """When all its renderings by a Go template have to be done."""

    @property
    def is_marked(self) -> bool:
        """Whether its text has the tokens that mark a beginning: chat templates write them."""
        return not self.generation.template and bool(self.tokenizer.chat_template)

    def render(self, messages: Sequence[Message]) -> Placed:
        """Render messages with the Go template, else the tokenizer's chat template.

        Without a template the texts are joined with nothing between them, as Ollama's
        default template `{{ .Prompt }}` does, system prompts first.

        Raises:
            InvalidRequest: the template is wrong, or refuses the messages.
        """
        if self.generation.template:
            return self._by_go_template(messages)
        if self.tokenizer.chat_template:
            tools = self.generation.chat.tools_json
            chat = ChatTemplate(self.tokenizer, self.placeholder, self.think, tools)
            return chat.render(messages)
        return self._join(messages)

    def _by_go_template(self, messages: Sequence[Message]) -> Placed:
        template = ModelTemplate.parse(self.generation.template)
        settings = Generation(
            think=self.think, chat=generation_pb2.Chat(tools_json=self.generation.chat.tools_json)
        )
        budget = Budget(self.deadline - time.monotonic())
        text = render_template(template, settings, messages, budget)
        images = [image for message in messages for image in message.images]
        return self.placeholder.replace_tags(text, images)

    def _join(self, messages: Sequence[Message]) -> Placed:
        ordered = sorted(messages, key=lambda message: message.role != "system")
        text = "".join(self.placeholder.insert(message) for message in ordered)
        return Placed(text, [image for message in ordered for image in message.images])
