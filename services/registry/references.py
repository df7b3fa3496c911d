"""Names as clients write them, with Ollama's suffixes for where a model runs.

`:local` means a model of this server and is dropped. `:cloud` and `-cloud` mean one of
Ollama's own service, which is never here. Only a tag can carry them.
"""

from common.derived import is_derived
from common.errors import InvalidName, InvalidRequest, ModelNotFound
from common.names import ModelName

_LOCAL = ":local"
_CLOUD = ":cloud"


def parse_name(text: str) -> ModelName:
    """Read the name of a model that may be stored here.

    Raises:
        InvalidName: it is no name.
        InvalidRequest: it has two suffixes.
        ModelNotFound: it names a model of Ollama's cloud, or no model of a user's.
    """
    rest, suffix = _split_suffix(text.strip())
    if suffix and _split_suffix(rest)[1]:
        raise InvalidRequest("use either :local or :cloud, not both")
    name = ModelName.parse(rest)
    if suffix == _CLOUD or is_derived(name):
        raise ModelNotFound(f"model '{text}' not found")
    return name


def parse_new_name(text: str) -> ModelName:
    """Read a name for a model to be stored; one that could never be found again is no name.

    Raises:
        InvalidName: it is no name, or none that a user's model may have here.
        InvalidRequest: it has two suffixes.
    """
    try:
        return parse_name(text)
    except ModelNotFound as error:
        raise InvalidName("invalid model name") from error


def _split_suffix(text: str) -> tuple[str, str]:
    rest, colon, tag = text.rpartition(":")
    folded = tag.strip().lower()
    if colon and folded in ("local", "cloud"):
        return rest, f":{folded}"
    if colon and "/" not in tag and folded.endswith("-cloud"):
        return text[: -len("-cloud")], _CLOUD
    return text, ""
