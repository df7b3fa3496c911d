"""What GGUF files add to the config blobs of models that Ollama made, which say little."""

from collections.abc import Mapping

from services.registry.gguf.model import GgufModel
from services.registry.gguf.values import Value
from services.registry.model_config import ModelConfig

_UNKNOWN = "unknown"
_LENGTHS = ("context_length", "embedding_length")
_DETAILS = ("model_format", "model_family", "model_families", "model_type", "file_type", *_LENGTHS)


def complete(config: ModelConfig, model: GgufModel | None) -> ModelConfig:
    """Fill in the details that a GGUF model's config blob does not say."""
    if model is None:
        return config
    summary = model.summary()
    missing = [name for name in _DETAILS if getattr(config, name) in ("", 0, (), _UNKNOWN)]
    return config.model_copy(update={name: getattr(summary, name) for name in missing})


def add_lengths(config: ModelConfig, start: Mapping[str, Value]) -> ModelConfig:
    """Fill in how long a context and a vector are, from the start of a file's metadata."""
    found = {name: _of_architecture(start, name) for name in _LENGTHS}
    lengths = {
        name: value
        for name, value in found.items()
        if isinstance(value, int) and 0 < value < 2**63 and not getattr(config, name)
    }
    return config.model_copy(update=lengths)


def pools(start: Mapping[str, Value]) -> bool:
    """Tell from the start of a file's metadata whether it makes one vector of a text."""
    return _of_architecture(start, "pooling_type") is not None


def own_template(config: ModelConfig, model: GgufModel | None) -> bool:
    """Tell whether the GGUF file's own template renders the prompts, whatever else there is.

    So it is where one of Ollama's built-in renderers should: the Go template of such a model
    is a stopgap.
    """
    return bool(model and config.renderer and model.files[0].template)


def _of_architecture(start: Mapping[str, Value], name: str) -> Value | None:
    return start.get(f"{start.get('general.architecture')}.{name}")
