"""What is typed at the prompt: a command, or a message, which quotes may stretch over lines."""

import re

_QUOTES = '"""'
_SET_SYSTEM = re.compile(r"/set\s+system\s+(?=\S)")


def is_unfinished(text: str) -> bool:
    """Tell whether quotes are open, so that Enter begins another line."""
    body = _body(text)
    if not body.startswith(_QUOTES):
        return False
    return len(body) < 2 * len(_QUOTES) or not body.rstrip().endswith(_QUOTES)


def is_command(text: str) -> bool:
    """Tell whether a text is meant as a command: only a system message has several lines."""
    return text.startswith("/") and ("\n" not in text or bool(_SET_SYSTEM.match(text)))


def unquote(text: str) -> str:
    """Give a text without the quotes around it."""
    if not text.startswith(_QUOTES) or is_unfinished(text):
        return text
    return text.rstrip()[len(_QUOTES) : -len(_QUOTES)]


def system_message(text: str) -> str | None:
    """Give what `/set system` sets, which may be nothing; None: it is another text."""
    return unquote(_body(text)) if _SET_SYSTEM.match(text) else None


def readable(text: str) -> str:
    """Give what was typed, without the surrogates that stand for bytes other than UTF-8."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _body(text: str) -> str:
    match = _SET_SYSTEM.match(text)
    return text[match.end() :] if match else text
