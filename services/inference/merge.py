"""Laying a request over its model's own defaults: options, system prompt, messages."""

from common.errors import CapabilityMissing
from common.options import default_options, merge_options
from protos.paddock.v1 import generation_pb2, registry_pb2


def merge(
    model: registry_pb2.ResolvedModel, asked: generation_pb2.Generation
) -> generation_pb2.Generation:
    """Give the request as the worker is to run it.

    Options: the request's over the model's over Ollama's defaults. Chat: the model's
    messages come first, its system prompt only where the conversation has none of its own
    at its start. Completion: the request's system prompt replaces the model's.
    """
    merged = generation_pb2.Generation()
    merged.CopyFrom(asked)
    merged.options.CopyFrom(merge_options(default_options(), model.parameters, asked.options))
    if not merged.template:
        merged.template = model.template
    if merged.HasField("chat"):
        _merge_chat(model, merged.chat)
    else:
        _merge_completion(model, merged.completion)
    return merged


def require(model: registry_pb2.ResolvedModel, requested: str, capability: str, verb: str) -> None:
    """Check that a model can do something.

    Raises:
        CapabilityMissing: it cannot; `requested` is the name as the client wrote it.
    """
    if capability not in model.spec.capabilities:
        raise CapabilityMissing(f'"{requested}" does not support {verb}')


def _merge_chat(model: registry_pb2.ResolvedModel, chat: generation_pb2.Chat) -> None:
    own: list[generation_pb2.Message] = []
    if model.system and (not chat.messages or chat.messages[0].role != "system"):
        own.append(generation_pb2.Message(role="system", content=model.system))
    conversation = [*own, *model.messages, *chat.messages]
    del chat.messages[:]
    chat.messages.extend(conversation)


def _merge_completion(
    model: registry_pb2.ResolvedModel, completion: generation_pb2.Completion
) -> None:
    if completion.raw:
        return
    if not completion.HasField("system") and model.system:
        completion.system = model.system
    if not completion.context:
        completion.history.extend(model.messages)
