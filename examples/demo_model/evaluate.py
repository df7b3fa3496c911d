"""Measures how many answers of the demo model are right.

Run it as `python -m examples.demo_model.evaluate`. It asks every question in every trained
spelling with thinking allowed and forbidden, and a seeded draw of every other kind of dialogue.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from examples.demo_model import documents
from examples.demo_model.dialogues import Chats, Dialogue, user
from examples.demo_model.questions import (
    Question,
    chat_questions,
    json_questions,
    read_markdown,
    read_yaml,
    variants,
)
from examples.demo_model.tool_dialogues import ToolChats

MODEL = Path(__file__).parent / "model"


@dataclass(frozen=True)
class Case:
    """A prompt of one kind and the text that shall follow, its end token included."""

    kind: str
    prompt: str
    target: str


def dialogue_cases(kind: str, dialogue: Dialogue) -> Iterator[Case]:
    """Yield a dialogue with thinking allowed and with thinking forbidden."""
    for thinking in (True, False):
        name = f"{kind}, thinking" if thinking else kind
        yield Case(name, dialogue.prompt(thinking), dialogue.target(thinking))


def question_cases(
    kind: str, questions: list[Question], system: str = "", all_spellings: bool = True
) -> Iterator[Case]:
    """Yield every question in every wording, in all spellings or only as written."""
    messages = [{"role": "system", "content": system}] if system else []
    for question in questions:
        spellings = [v for w in question.wordings for v in (variants(w) if all_spellings else [w])]
        for spelling in dict.fromkeys(spellings):
            dialogue = Dialogue([*messages, user(spelling)], question.answer, question.thought)
            yield from dialogue_cases(kind, dialogue)


def drawn_cases(seed: int, count: int) -> Iterator[Case]:
    """Yield seeded draws of the kinds of dialogue that are not a plain list."""
    chats = Chats(random.Random(seed))
    tools = ToolChats(chats)
    draws = {
        "multi-turn": chats.plain,
        "memory": chats.memory,
        "tools": tools.draw,
        "weather without a tool": chats.weather,
        "mario, drawn": chats.mario,
    }
    for kind, draw in draws.items():
        for _ in range(count):
            yield from dialogue_cases(kind, draw())


def document_cases() -> Iterator[Case]:
    """Yield every hole of every snippet, and every text after its first words."""
    for snippet in documents.snippets():
        for prompt, target in documents.holes(snippet):
            yield Case("fill-in-the-middle", prompt, target)
    for text in documents.texts():
        words = text.split(" ")
        head = " ".join(words[: 4 if len(words) > 8 else len(words) - 2])
        yield Case("raw text", head, text[len(head) :] + documents.END)


def all_cases(seed: int = 7, count: int = 100) -> list[Case]:
    """Return every case of the evaluation."""
    mario = read_yaml("settings")["mario"]
    return [
        *question_cases("questions", chat_questions()),
        *question_cases("questions, system prompt", chat_questions(), "Be kind.", False),
        *question_cases("json", json_questions(), all_spellings=False),
        *(
            case
            for system in mario[:3]
            for case in question_cases("mario", read_markdown("mario"), system, False)
        ),
        *drawn_cases(seed, count),
        *document_cases(),
    ]


def is_right(case: Case, said: str) -> bool:
    """Return whether the model said the expected text; JSON is compared by its value."""
    if said == case.target:
        return True
    return case.kind.startswith("json") and _value(said) == _value(case.target)


def _value(text: str) -> Any:
    body = text.rsplit("</think>", 1)[-1].removesuffix("<|im_end|>")
    try:
        return json.loads(body)
    except ValueError:
        return text


class Speaker:
    """Generates continuations of many prompts at once."""

    def __init__(self, folder: Path, temperature: float) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        self._sampling: dict[str, Any] = {"do_sample": False}
        if temperature:
            self._sampling = {
                "do_sample": True,
                "temperature": temperature,
                "top_p": 0.9,
                "top_k": 40,
            }

    def length(self, text: str) -> int:
        """Return the number of tokens of a text."""
        return len(self._tokenizer(text)["input_ids"])

    @torch.inference_mode()
    def say(self, prompts: list[str], limit: int) -> list[str]:
        """Return what the model says after each prompt."""
        inputs = self._tokenizer(prompts, return_tensors="pt", padding=True)
        inputs.pop("token_type_ids", None)
        output = self._model.generate(**inputs, max_new_tokens=limit, **self._sampling)
        said = self._tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :])
        return [self._until_end(text) for text in said]

    @staticmethod
    def _until_end(text: str) -> str:
        ends = [text.find(end) + len(end) for end in ("<|im_end|>", documents.END) if end in text]
        return text[: min(ends)] if ends else text


def run(speaker: Speaker, cases: list[Case], batch: int) -> dict[str, list[tuple[Case, str]]]:
    """Return, for each kind, the cases with what the model said."""
    order = sorted(cases, key=lambda case: (speaker.length(case.target), len(case.prompt)))
    results = defaultdict(list)
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        limit = max(speaker.length(case.target) for case in part) + 4
        for case, said in zip(part, speaker.say([c.prompt for c in part], limit), strict=True):
            results[case.kind].append((case, said))
    return results


def main() -> None:
    """Print the share of right answers of each kind, and the wrong ones on request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--every", type=int, default=1, help="take only every n-th case")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--wrong", action="store_true", help="show the wrong answers")
    options = parser.parse_args()
    torch.manual_seed(0)
    cases = all_cases()[:: options.every]
    results = run(Speaker(options.model, options.temperature), cases, options.batch)
    for kind, answers in sorted(results.items()):
        wrong = [(case, said) for case, said in answers if not is_right(case, said)]
        print(f"{len(answers) - len(wrong):6} of {len(answers):6}  {kind}")
        for case, said in wrong if options.wrong else []:
            print(f"    {case.prompt!r}\n      expected {case.target!r}\n      said     {said!r}")


if __name__ == "__main__":
    main()
