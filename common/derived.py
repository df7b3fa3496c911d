"""Names of what was made of a model's files and can be made again, such as a conversion.

They are manifests like any other, under a host that no user's model can have: lists pass
them over, and collection removes them with the blob that they were made of.
"""

from common.names import ModelName

DERIVED_HOST = "derived.paddock.internal"

_NAMESPACE = "sha256"


def derived_name(source: str, maker: str) -> ModelName:
    """Name what `maker` makes of a source.

    Args:
        source: 64 hexadecimal digits, of the blob that it is made of.
        maker: the program and its version, as a tag may be written.
    """
    return ModelName(DERIVED_HOST, _NAMESPACE, source, maker)


def is_derived(name: ModelName) -> bool:
    """Tell whether a manifest's name is one of these."""
    return name.host.lower() == DERIVED_HOST
