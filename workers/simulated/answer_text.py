"""The text of an answer from its tokens' bytes, without what may yet become a stop string."""

import codecs
from collections.abc import Sequence


class AnswerText:
    """Gives text as soon as its characters are whole and no stop string can begin in it."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._most_held = max(map(len, self._stops), default=1) - 1
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stop: str | None = None
        """The stop string that came; nothing comes after it."""

    def add(self, data: bytes) -> str:
        """Take the bytes of a token; give the text that is certain."""
        text = self._held + self._decoder.decode(data)
        found = [(text.index(stop), stop) for stop in self._stops if stop in text]
        if found:
            at, self.stop = min(found)
            self._held = ""
            return text[:at]
        certain = max(len(text) - self._most_held, 0)
        self._held = text[certain:]
        return text[:certain]

    def finish(self) -> str:
        """Give what was held back, when nothing more comes."""
        rest = self._held + self._decoder.decode(b"", final=True)
        self._held = ""
        return rest
