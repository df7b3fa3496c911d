"""Puts what was measured into the documentation."""

from pathlib import Path

DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def write_section(name: str, text: str, document: Path = DOCUMENT) -> None:
    """Replace what stands between the marks `<!-- name: … -->` and `<!-- /name -->`.

    Raises:
        ValueError: the document has no such marks.
    """
    content = document.read_text(encoding="utf-8")
    begin = content.index("-->\n", content.index(f"<!-- {name}:")) + len("-->\n")
    end = content.index(f"<!-- /{name} -->", begin)
    document.write_text(f"{content[:begin]}\n{text}\n\n{content[end:]}", encoding="utf-8")
