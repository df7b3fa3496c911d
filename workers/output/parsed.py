"""What a piece of an answer turned out to be."""

from dataclasses import dataclass, field

from workers.output.json_calls import Call


@dataclass
class Parsed:
    """Thoughts, content and tool calls, each without the marks around them."""

    thinking: str = ""
    content: str = ""
    calls: list[Call] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.thinking or self.content or self.calls)

    def add(self, later: "Parsed") -> None:
        """Append what came later."""
        self.thinking += later.thinking
        self.content += later.content
        self.calls += later.calls
