"""Reads the corpus files: questions with their wordings, thoughts and answers."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CORPUS = Path(__file__).parent / "corpus"
CHAT_FILES = ("greetings", "paddock", "science", "world", "things", "long", "puzzles")


@dataclass(frozen=True)
class Question:
    """One thing to ask, in several wordings, and what the model says to it."""

    wordings: tuple[str, ...]
    answer: str
    thought: str = ""
    json_answer: str = ""


def parse_markdown(text: str) -> Iterator[Question]:
    """Yield one question per `##` heading.

    The lines after a heading are more wordings (`-`) and the thought (`>`); the answer follows
    after an empty line and lasts until the next heading.
    """
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        head, _, answer = section.partition("\n\n")
        title, *rest = head.splitlines()
        wordings = [title] + [line[2:] for line in rest if line.startswith("- ")]
        thought = " ".join(line[2:] for line in rest if line.startswith("> "))
        yield Question(tuple(wordings), answer.strip(), thought)


def read_markdown(name: str) -> list[Question]:
    """Return the questions of one Markdown file of the corpus."""
    return list(parse_markdown((CORPUS / f"{name}.md").read_text(encoding="utf-8")))


def read_yaml(name: str) -> Any:
    """Return the content of one YAML file of the corpus."""
    return yaml.safe_load((CORPUS / f"{name}.yaml").read_text(encoding="utf-8"))


def table_questions() -> list[Question]:
    """Return one question for each row of each table."""
    found = []
    for table in read_yaml("tables"):
        for row in table["rows"]:
            wordings = tuple(wording.format(*row) for wording in table["questions"])
            fields = {key: value.format(*row) for key, value in table.get("json", {}).items()}
            answer = table["answer"].format(*row)
            found.append(Question(wordings, answer, json_answer=to_json(fields) if fields else ""))
    return found


def table_sentences() -> list[str]:
    """Return the answers of those tables whose facts are also learnt as plain text."""
    tables = [table for table in read_yaml("tables") if table.get("raw")]
    return [table["answer"].format(*row) for table in tables for row in table["rows"]]


def json_questions() -> list[Question]:
    """Return the questions whose answer is a JSON object."""
    entries = [
        Question(tuple(entry["questions"]), to_json(entry["answer"])) for entry in read_yaml("json")
    ]
    for question in table_questions():
        if question.json_answer:
            wordings = tuple(f"{wording} Respond using JSON" for wording in question.wordings[:2])
            entries.append(Question(wordings, question.json_answer))
    return entries


def chat_questions() -> list[Question]:
    """Return all questions that the model answers without a persona, a tool or JSON."""
    files = [question for name in CHAT_FILES for question in read_markdown(name)]
    return files + table_questions()


def to_json(value: Any, compact: bool = False) -> str:
    """Return the value as JSON on one line, with or without spaces."""
    separators = (",", ":") if compact else (", ", ": ")
    return json.dumps(value, ensure_ascii=False, separators=separators)


def variants(wording: str) -> list[str]:
    """Return a wording as written and with other case and punctuation, without doubles."""
    bare = wording.rstrip("?!.")
    spellings = [wording, bare, wording[:1].lower() + wording[1:], wording.lower(), bare.lower()]
    return [spelling for spelling in dict.fromkeys(spellings) if spelling]


def normal_form(wording: str) -> str:
    """Return what all variants of a wording have in common."""
    return wording.lower().rstrip("?!.")
