"""The Containerfile as its stages, and what of the tree a build is given."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "k8s" / "images" / "Containerfile"
IGNORED = FILE.with_name("Containerfile.dockerignore")


@dataclass
class Stage:
    """A stage of a build: its instructions, and the stage or image that it begins with."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def of(self, *kinds: str) -> list[str]:
        """Give the arguments of its instructions of some kinds."""
        return [arguments for kind, arguments in self.instructions if kind in kinds]


def read_stages() -> dict[str, Stage]:
    """Give the stages by name, in their order."""
    text = re.sub(r"^\s*#.*\n", "", FILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stages: dict[str, Stage] = {}
    for line in filter(None, text.splitlines()):
        kind, _, arguments = line.partition(" ")
        if kind == "FROM":
            base, name = arguments.split(" AS ")
            stages[name] = Stage(name, base)
        elif stages:
            list(stages.values())[-1].instructions.append((kind, arguments.strip()))
    return stages


def lineage(stages: dict[str, Stage], name: str) -> Iterator[Stage]:
    """Give a stage, the one that it begins with, and so on."""
    while name in stages:
        yield stages[name]
        name = stages[name].base


def is_given(path: str) -> bool:
    """Tell whether a build is given a file or folder of the tree; the last rule that fits says so.

    See https://docs.docker.com/build/concepts/context/#dockerignore-files.
    """
    given = True
    for line in IGNORED.read_text().splitlines():
        rule = line.strip().removeprefix("!")
        if rule and not rule.startswith("#") and _fits(path, rule):
            given = line.startswith("!")
    return given


def _fits(path: str, rule: str) -> bool:
    parts = path.split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    if rule.startswith("**/"):
        return any(fnmatch(part, rule[3:]) for part in parts)
    return any(fnmatch(part, rule) and part.count("/") == rule.count("/") for part in above)
