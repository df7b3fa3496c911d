"""Whether a folder's tensors can be those of the model that its `config.json` describes.

Only what is certain of every such model is asked for: what else is missing, its class knows.
"""

from collections.abc import Collection

from common.errors import InvalidModel
from services.registry.capabilities import COMPLETION, EMBEDDING
from services.registry.metadata import Metadata
from services.registry.safetensors import Tensor

# What the matrix that makes vectors of tokens is called, in part, whoever wrote the class.
_EMBEDDINGS = ("emb", "wte", "shared", "tok", "vocab", "transformer.w.")
# The usual name of it, under which it has a row per token.
_USUAL = "model.embed_tokens.weight"
_FLOATS = ("F32", "F16", "BF16")


def check_layout(metadata: Metadata) -> None:
    """Hold a model's tensors to be there, and to have room for its tokens.

    Raises:
        InvalidModel: there are none, or none that makes vectors of tokens, or of other ones.
    """
    if not metadata.tensors:
        raise InvalidModel("the safetensors files hold no tensors")
    if not {COMPLETION, EMBEDDING}.intersection(metadata.capabilities):
        return
    if not any(_makes_vectors(tensor) for tensor in metadata.tensors):
        raise InvalidModel(
            f"the safetensors files do not hold a {metadata.config.family}: "
            "none of their tensors makes vectors of tokens"
        )
    _check_shape(metadata, metadata.tensors)


def _makes_vectors(tensor: Tensor) -> bool:
    name = tensor.name.lower()
    return any(part in name for part in _EMBEDDINGS)


def _check_shape(metadata: Metadata, tensors: Collection[Tensor]) -> None:
    vocabulary, width = metadata.config.vocabulary_size, metadata.config.embedding_length
    for tensor in tensors:
        usual = tensor.name == _USUAL and tensor.dtype in _FLOATS
        if usual and vocabulary and width and tensor.shape != (vocabulary, width):
            shown = "x".join(map(str, tensor.shape))
            raise InvalidModel(f"{_USUAL} is {shown} where config.json says {vocabulary}x{width}")
