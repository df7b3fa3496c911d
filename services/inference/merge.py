"""Laying a request over its model's own defaults: options, system prompt, messages."""

from common.options import default_options, merge_options
from protos.paddock.v1 import generation_pb2, registry_pb2
from services.inference.capabilities import can
from services.inference.thoughts import forget_thoughts


def merge(
    model: registry_pb2.ResolvedModel, asked: generation_pb2.Generation
) -> generation_pb2.Generation:
    """Give the request as the worker is to run it.

    Options: the request's over the model's over Ollama's defaults. Chat: the model's
    messages come first, its system prompt only where the conversation has none of its own
    at its start. Completion: the request's system prompt replaces the model's, and the model's
    messages come first unless the conversation has a context. A model that can think does,
    unless the request says otherwise.
    """
    merged = generation_pb2.Generation()
    merged.CopyFrom(asked)
    merged.options.CopyFrom(merge_options(default_options(), model.parameters, asked.options))
    merged.own_template = bool(merged.template)
    if not merged.template:
        merged.template = model.template
    if merged.think == generation_pb2.THINK_UNSPECIFIED and can(model, "thinking"):
        merged.think = generation_pb2.THINK_ON
    if merged.HasField("chat"):
        _merge_chat(model, merged.chat)
    else:
        _merge_completion(model, merged.completion)
    return merged


def _merge_chat(model: registry_pb2.ResolvedModel, chat: generation_pb2.Chat) -> None:
    own: list[generation_pb2.Message] = []
    if model.system and (not chat.messages or chat.messages[0].role != "system"):
        own.append(generation_pb2.Message(role="system", content=model.system))
    conversation = [*own, *model.messages, *chat.messages]
    del chat.messages[:]
    chat.messages.extend(conversation)
    forget_thoughts(model.spec, chat.messages)


def _merge_completion(
    model: registry_pb2.ResolvedModel, completion: generation_pb2.Completion
) -> None:
    if completion.raw or completion.suffix:
        return
    if not completion.HasField("system") and model.system:
        completion.system = model.system
    if not completion.context:
        completion.history.extend(model.messages)
