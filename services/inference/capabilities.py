"""Whether a model can do what a request asks of it.

The order of the checks and their texts are Ollama's, whose texts name the model as the client
wrote it in some cases and in full in others.
"""

from common.errors import CapabilityMissing
from common.names import ModelName
from protos.paddock.v1 import generation_pb2, registry_pb2

_ASKS_TO_THINK = frozenset(generation_pb2.Think.values()) - {
    generation_pb2.THINK_UNSPECIFIED,
    generation_pb2.THINK_OFF,
}


def require(model: registry_pb2.ResolvedModel, requested: str, capability: str, verb: str) -> None:
    """Check that a model can do something.

    Raises:
        CapabilityMissing: it cannot; `requested` is the name as the client wrote it.
    """
    if not can(model, capability):
        raise CapabilityMissing(f'"{requested}" does not support {verb}')


def require_generation(
    model: registry_pb2.ResolvedModel, requested: str, asked: generation_pb2.Generation
) -> None:
    """Check that a model can do all that a generation asks of it.

    Raises:
        CapabilityMissing: it cannot.
    """
    chat = asked.HasField("chat")
    if asked.think in _ASKS_TO_THINK:
        require(model, requested, "thinking", "thinking")
    require(model, requested, "completion", "chat" if chat else "generate")
    if asked.chat.tools_json:
        _require_by_full_name(model, "tools")
    if asked.completion.suffix:
        _require_by_full_name(model, "insert")
    if asked.completion.images or any(message.images for message in asked.chat.messages):
        require(model, requested, "vision", "images")


def can(model: registry_pb2.ResolvedModel, capability: str) -> bool:
    """Tell whether a model has a capability."""
    return capability in model.spec.capabilities


def _require_by_full_name(model: registry_pb2.ResolvedModel, capability: str) -> None:
    if not can(model, capability):
        name = ModelName.parse(model.spec.name)
        full = f"{name.host}/{name.namespace}/{name.model}:{name.tag}"
        raise CapabilityMissing(f"{full} does not support {capability}")
