"""How many tokens a request may use: the engine's window, `num_ctx` and `num_predict`."""

from common.errors import InvalidRequest
from protos.paddock.v1 import generation_pb2

_MINIMUM_WINDOW = 4

LONGEST_TOKEN = 1024
"""Characters that no token has more of; real ones end far below."""

TOO_LONG = (
    "the prompt is longer than the context length currently available to the model; "
    "shorten the prompt, adjust the context length in settings, or use a model with a "
    "longer context length"
)


def window(options: generation_pb2.Options, context_length: int) -> int:
    """Give the tokens that prompt and answer may have together."""
    if not options.HasField("num_ctx"):
        return context_length
    return min(context_length, max(options.num_ctx, _MINIMUM_WINDOW))


def refuse_hopeless(generation: generation_pb2.Generation, context_length: int) -> None:
    """Refuse a text so long that no tokenizer could make it fit, before one spends seconds on it.

    For a request whose prompt must not be shortened.

    Raises:
        InvalidRequest: it is too long.
    """
    chat, completion = generation.chat, generation.completion
    messages = (*chat.messages, *completion.history)
    characters = len(completion.prompt) + len(completion.suffix) + len(completion.system)
    characters += sum(len(message.content) for message in messages)
    if len(messages) + characters / LONGEST_TOKEN > context_length:
        raise InvalidRequest(TOO_LONG)


def answer_limit(options: generation_pb2.Options, prompt: int, context_length: int) -> int:
    """Give the tokens an answer to a prompt of `prompt` tokens may have, at least one.

    A `num_predict` that is negative means: as many as fit. Zero, which Ollama takes for
    that as well, does so here.

    Raises:
        InvalidRequest: the prompt leaves no room for an answer.
    """
    room = window(options, context_length) - prompt
    if room < 1:
        raise InvalidRequest(TOO_LONG)
    return min(room, options.num_predict) if options.num_predict > 0 else room
