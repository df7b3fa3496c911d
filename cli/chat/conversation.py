"""A conversation: what is sent with every question, and what `/save` makes a model of."""

from dataclasses import dataclass, field
from typing import Any

from ollama import Message

from cli.chat.model import ChatModel


@dataclass
class Conversation:
    """The user's system message, and all questions that were answered."""

    system: str = ""
    messages: list[Message] = field(default_factory=list)

    def ask(self, question: Message) -> list[Message]:
        """Give what is sent with a question, which is not yet part of the conversation."""
        system = [Message(role="system", content=self.system)] if self.system else []
        return [*system, *self.messages, question]

    def remember(self, question: Message, *, content: str, thinking: str) -> None:
        """Add a question and its answer."""
        answer = Message(role="assistant", content=content, thinking=thinking or None)
        self.messages += [question, answer]

    def clear(self) -> None:
        """Forget everything but the system message."""
        self.messages.clear()

    def create_body(self, name: str, model: ChatModel, options: dict[str, Any]) -> dict[str, Any]:
        """Give the request that makes a model of a conversation with another one."""
        body: dict[str, Any] = {"model": name, "from": model.name}
        if self.system:
            body["system"] = self.system
        if options:
            body["parameters"] = options
        if messages := [*model.messages, *self.messages]:
            body["messages"] = [message.model_dump(exclude_none=True) for message in messages]
        return body
