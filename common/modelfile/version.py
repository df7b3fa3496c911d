"""The version that REQUIRES names (semver.org)."""

import re

from common.errors import InvalidRequest

_NUMBER = r"(?:0|[1-9][0-9]*)"
_WORDS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(
    rf"{_NUMBER}(?:\.{_NUMBER}(?:\.{_NUMBER}(?:-{_WORDS})?(?:\+{_WORDS})?)?)?",
)


def check_version(text: str) -> str:
    """Hold a text to be a version, and drop a leading `v`; an empty one is left alone.

    Raises:
        InvalidRequest: it is none; the message is Ollama's.
    """
    version = text.removeprefix("v")
    if text and not _VERSION.fullmatch(version):
        raise InvalidRequest("requires must be a valid semver (e.g. 0.14.0)")
    return version
