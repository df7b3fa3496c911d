"""One question, one answer."""

import json
from collections.abc import Iterator

import ollama
import typer

from cli.chat.answering import show_answer
from cli.chat.display import AnswerDisplay
from cli.chat.images import take_images
from cli.chat.model import ChatModel
from cli.chat.settings import Settings
from cli.chat.timings import print_timings
from cli.connection import Connection
from cli.failure import CommandFailed


def answer(connection: Connection, model: ChatModel, prompt: str, settings: Settings) -> None:
    """Print a model's answer to a prompt; an empty one only loads the model.

    Raises:
        CommandFailed: an image cannot be sent.
        ollama.ResponseError: the server refused.
        httpx.HTTPError: it was lost.
    """
    prompt, images = take_images(prompt) if model.can("vision") else (prompt, [])
    display = AnswerDisplay(word_wrap=settings.word_wrap, hide_thinking=settings.hide_thinking)
    parts: Iterator[ollama.GenerateResponse] = connection.generate(
        model.name, prompt, images=images or None, stream=True, **settings.fields(model)
    )
    last = show_answer(parts, display)
    if prompt or images:
        display.end()
    if settings.verbose:
        print_timings(last)


def embed(
    connection: Connection,
    model: ChatModel,
    text: str,
    settings: Settings,
    truncate: bool | None,
    dimensions: int | None,
) -> None:
    """Print the vector of a text as JSON; None leaves a choice to the server.

    Raises:
        CommandFailed: there is no text.
        ollama.ResponseError: the server refused.
        httpx.HTTPError: it was lost.
    """
    if not text:
        raise CommandFailed(
            f'embedding models require input text. Usage: paddock run {model.name} "your text here"'
        )
    embedded = connection.embed(
        model.name,
        text,
        truncate=truncate,
        keep_alive=settings.keep_alive,
        dimensions=dimensions,
    )
    if not embedded.embeddings:
        raise CommandFailed("no embeddings returned")
    typer.echo(json.dumps(embedded.embeddings[0], separators=(",", ":")))
    if settings.verbose:
        print_timings(embedded)
