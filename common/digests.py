"""SHA-256 digests in the form `sha256:<64 hex>`."""

import re

from common.errors import InvalidDigest

_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")


def parse_digest(text: str) -> str:
    """Normalise `sha256:` or `sha256-` and 64 hexadecimal digits to `sha256:<lower case>`.

    Raises:
        InvalidDigest: the text is anything else.
    """
    match = _DIGEST.fullmatch(text)
    if not match:
        raise InvalidDigest("invalid digest format")
    return f"sha256:{match[1].lower()}"


def hex_digits(digest: str) -> str:
    """Give the 64 hexadecimal digits of a normalised digest."""
    return digest.removeprefix("sha256:")
