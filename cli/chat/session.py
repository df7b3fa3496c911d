"""A session: a model, a conversation with it, and how the user wants it."""

from collections.abc import Iterator

import ollama
import typer

from cli.chat.answering import show_answer
from cli.chat.conversation import Conversation
from cli.chat.display import AnswerDisplay
from cli.chat.history import PromptHistory
from cli.chat.images import take_images
from cli.chat.model import ChatModel
from cli.chat.settings import Settings
from cli.chat.spinner import spinner
from cli.chat.timings import print_timings
from cli.connection import Connection


class Session:
    """Asks a model, and keeps what was said."""

    def __init__(
        self,
        connection: Connection,
        model: ChatModel,
        settings: Settings,
        history: PromptHistory,
    ) -> None:
        """Load a model, and show the conversation that it was made with.

        Raises:
            ollama.ResponseError: it cannot be loaded.
            httpx.HTTPError: the server was lost.
        """
        self.connection = connection
        self.settings = settings
        self.history = history
        self.switch(model)

    def switch(self, model: ChatModel) -> None:
        """Begin a new conversation with a model; nothing changes if that fails.

        Raises:
            ollama.ResponseError: it cannot be loaded.
            httpx.HTTPError: the server was lost.
        """
        settings = self.settings
        with spinner():
            self.connection.generate(
                model.name, keep_alive=settings.keep_alive, think=settings.think_of(model)
            )
        self.model = model
        self.conversation = Conversation()
        for message in model.messages:
            self._show_earlier(message)

    def ask(self, text: str) -> None:
        """Print the answer to a message.

        Ctrl-C ends it; what came until then belongs to the conversation. Where it fails, the
        conversation stays as it was.

        Raises:
            CommandFailed: an image cannot be sent.
            ollama.ResponseError: the server refused.
            httpx.HTTPError: it was lost.
        """
        prompt, images = take_images(text) if self.model.can("vision") else (text, [])
        pictures = [ollama.Image(value=image) for image in images]
        question = ollama.Message(role="user", content=prompt, images=pictures or None)
        parts: Iterator[ollama.ChatResponse] = self.connection.chat(
            self.model.name,
            self.conversation.ask(question),
            stream=True,
            **self.settings.fields(self.model),
        )
        display = self._display()
        try:
            last = show_answer(parts, display)
        except KeyboardInterrupt:
            typer.echo()
            if display.content:
                self._remember(question, display)
            return
        display.end()
        self._remember(question, display)
        if self.settings.verbose:
            print_timings(last)

    def _remember(self, question: ollama.Message, display: AnswerDisplay) -> None:
        self.conversation.remember(question, content=display.content, thinking=display.thinking)

    def _show_earlier(self, message: ollama.Message) -> None:
        display = self._display()
        if message.role == "user":
            display.show_question(message.content or "")
        elif message.role == "assistant":
            display.show(ollama.Message(role=message.role, content=message.content))
            display.end()

    def _display(self) -> AnswerDisplay:
        return AnswerDisplay(
            word_wrap=self.settings.word_wrap, hide_thinking=self.settings.hide_thinking
        )
