"""`WWW-Authenticate`: what a registry asks for (RFC 9110, 11.6.1)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r'(?P<key>[\w-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))'
    r"|(?P<scheme>[A-Za-z][\w-]*)"
)
_ESCAPE = re.compile(r"\\(.)")


@dataclass
class Challenge:
    """One scheme in lower case, with its parameters."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """Read the values of all `WWW-Authenticate` headers of an answer."""
    challenges: list[Challenge] = []
    for value in values:
        for match in _TOKEN.finditer(value):
            if scheme := match["scheme"]:
                challenges.append(Challenge(scheme.lower()))
            elif challenges:
                quoted = match["quoted"]
                text = match["plain"] if quoted is None else _ESCAPE.sub(r"\1", quoted)
                challenges[-1].parameters[match["key"].lower()] = text
    return challenges
