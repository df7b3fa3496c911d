"""Draws training dialogues: chats with and without a system prompt, a persona or a memory."""

import functools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from examples.demo_model.prompts import Message, Tool, completion, render
from examples.demo_model.questions import (
    Question,
    chat_questions,
    json_questions,
    read_markdown,
    read_yaml,
    to_json,
    variants,
)

T = TypeVar("T")
SEAM = "\ue000"  # tokens do not reach across it, and it is no part of the text
NO_TOOL = "I cannot look up the weather without a tool."
NO_NAME = "You have not told me your name yet."
MIE = (
    "Rayleigh scattering comes from particles much smaller than the wavelength and favours blue "
    "light. Mie scattering comes from particles about as large as the wavelength and treats all "
    "colours nearly alike."
)
MIE_WORDINGS = (
    "How is that different than mie scattering?",
    "How is that different from Mie scattering?",
    "How does that differ from Mie scattering?",
    "What is the difference to Mie scattering?",
)
WEATHER_WORDINGS = (
    "What is the weather today in {}?",
    "What is the weather in {}?",
    "What's the weather in {}?",
    "What's the weather like in {}?",
    "What is the weather like in {} today?",
    "What is the weather like right now in {}?",
    "How is the weather in {}?",
    "What is the current weather in {}?",
    "Tell me the weather in {}.",
    "What is the temperature in {}?",
    "What's the temperature in {}?",
    "How warm is it in {}?",
    "Weather in {}",
)


@dataclass(frozen=True)
class Dialogue:
    """A history, and the message that the model shall say next.

    Assistant messages of the history are learnt too, unless they carry `learn: False`.
    """

    messages: list[Message]
    answer: str
    thought: str = ""
    tools: list[Tool] = field(default_factory=list)
    skip: int = 0  # leading tokens of the answer that a grammar would force

    def prompt(self, thinking: bool) -> str:
        """Return the text that the model is given."""
        return render(self.messages, self.tools or None, thinking)

    def target(self, thinking: bool) -> str:
        """Return the text that the model shall produce."""
        return completion(self.answer, self.thought, thinking)


class Deck(Iterator[T]):
    """Deals its cards in random order, every card once before any comes again."""

    def __init__(self, cards: Sequence[T], rng: random.Random) -> None:
        self._cards = cards
        self._rng = rng
        self._pile: list[T] = []

    def __next__(self) -> T:
        if not self._pile:
            self._pile = self._rng.sample(self._cards, len(self._cards))
        return self._pile.pop()


def user(content: str) -> Message:
    """Return a message of the user."""
    return {"role": "user", "content": content}


def assistant(content: str, learn: bool = True) -> Message:
    """Return a message of the model."""
    return {"role": "assistant", "content": content, "learn": learn}


def pairs(questions: Sequence[Question]) -> list[tuple[str, Question]]:
    """Return every wording together with its question."""
    return [(wording, question) for question in questions for wording in question.wordings]


class Chats:
    """Draws chat dialogues from the corpus with a seeded generator."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.settings: dict[str, Any] = read_yaml("settings")
        known = chat_questions()
        self._known = Deck(pairs(known), rng)
        self._puzzles = Deck(pairs(read_markdown("puzzles")), rng)
        self._unknown = Deck(pairs(read_markdown("unknown")), rng)
        self._json = Deck(pairs(json_questions()), rng)
        mario = read_markdown("mario")
        own = {wording.lower() for question in mario for wording in question.wordings}
        others = [pair for pair in pairs(known) if pair[0].lower() not in own]
        self._mario = Deck(pairs(mario), rng)
        self._mario_other = Deck(others, rng)
        self._words = " ".join(question.answer for question in known).split()

    def spelling(self, wording: str) -> str:
        """Return the wording as written or, as often, in another spelling."""
        return wording if self.rng.random() < 0.45 else self.rng.choice(variants(wording))

    def sentence(self, low: int, high: int) -> str:
        """Return some consecutive words of the corpus."""
        start = self.rng.randrange(len(self._words) - high)
        return " ".join(self._words[start : start + self.rng.randint(low, high)])

    def system(self) -> list[Message]:
        """Return no system message, a usual one, or one of random words."""
        draw = self.rng.random()
        if draw < 0.5:
            return []
        if draw < 0.8:
            return [{"role": "system", "content": self.rng.choice(self.settings["systems"])}]
        return [{"role": "system", "content": self.sentence(2, 25)}]

    def turn(self) -> list[Message]:
        """Return a known question and its answer as history."""
        wording, question = next(self._known)
        answer, learn = question.answer, not question.thought
        if self.rng.random() < 0.06:
            answer, learn = answer[: self.rng.randint(1, len(answer))].strip() or "I", False
        return [user(self.spelling(wording)), assistant(answer, learn)]

    def history(self) -> list[Message]:
        """Return a system message and some earlier turns, mostly few, now and then many."""
        draw = self.rng.random()
        if draw < 0.5:
            count = 0
        elif draw < 0.95:
            count = self.rng.randint(1, 3)
        else:
            count = self.rng.randint(4, 16)
        return self.system() + [message for _ in range(count) for message in self.turn()]

    def plain(self) -> Dialogue:
        """Return a known question."""
        wording, question = next(self._known)
        messages = [*self.history(), user(self.spelling(wording))]
        return Dialogue(messages, question.answer, question.thought)

    def puzzle(self) -> Dialogue:
        """Return a question that is answered after some thought."""
        wording, question = next(self._puzzles)
        messages = [*self.system(), user(self.spelling(wording))]
        return Dialogue(messages, question.answer, question.thought)

    def mario(self) -> Dialogue:
        """Return a question to Mario, who opens other people's answers in his own way."""
        messages: list[Message] = [
            {"role": "system", "content": self.rng.choice(self.settings["mario"])}
        ]
        for _ in range(self.rng.choice((0, 0, 0, 1, 2))):
            wording, answer, _ = self._mario_card()
            messages += [user(wording), assistant(answer)]
        wording, answer, thought = self._mario_card()
        return Dialogue([*messages, user(wording)], answer, thought)

    def _mario_card(self) -> tuple[str, str, str]:
        if self.rng.random() < 0.65:
            wording, question = next(self._mario)
            return self.spelling(wording), question.answer, ""
        wording, question = next(self._mario_other)
        answer = self.settings["mario_opening"] + question.answer
        return self.spelling(wording), answer, question.thought

    def memory(self) -> Dialogue:
        """Return a question that only the history can answer."""
        kinds: list[Callable[[], Dialogue]] = [self._name, self._colour, self._mie]
        return self.rng.choices(kinds, (5, 3, 2))[0]()

    def _recall(self, told: list[Message], wordings: Sequence[str], answer: str) -> Dialogue:
        between = [m for _ in range(self.rng.choice((0, 0, 1, 2))) for m in self.turn()]
        before = self.turn() if self.rng.random() < 0.2 else []
        question = user(self.spelling(self.rng.choice(wordings)))
        return Dialogue([*self.system(), *before, *told, *between, question], answer)

    def _name(self) -> Dialogue:
        name = self.rng.choice(self.settings["names"])
        opening = ("My name is {}.", "I am {}.", "Hello, my name is {}.", "Hi, I'm {}.")
        statement = self.spelling(self.rng.choice(opening).format(name))
        reply = f"Nice to meet you, {name}!"
        wordings = ("What is my name?", "What's my name?", "Do you remember my name?")
        draw = self.rng.random()
        if draw < 0.25:
            return Dialogue([*self.history(), user(statement)], reply)
        if draw < 0.4:
            return self._recall([], (*wordings, "Who am I?"), NO_NAME)
        answer = f"Your name is {name}."
        return self._recall([user(statement), assistant(reply)], wordings, answer)

    def _colour(self) -> Dialogue:
        colour = self.rng.choice(self.settings["colours"])
        statement = self.spelling(f"My favourite colour is {colour}.")
        reply = f"{colour.capitalize()} is a beautiful colour."
        if self.rng.random() < 0.3:
            return Dialogue([*self.history(), user(statement)], reply)
        wordings = ("What is my favourite colour?", "Which colour do I like?")
        answer = f"Your favourite colour is {colour}."
        return self._recall([user(statement), assistant(reply)], wordings, answer)

    def _mie(self) -> Dialogue:
        sky = read_sky()
        first = user(self.spelling(self.rng.choice(sky.wordings)))
        reply = assistant(self.rng.choice((sky.answer, "due to rayleigh scattering.")), False)
        question = user(self.spelling(self.rng.choice(MIE_WORDINGS)))
        return Dialogue([*self.system(), first, reply, question], MIE)

    def json(self) -> Dialogue:
        """Return a question for JSON, or one whose answer a grammar forces into JSON."""
        if self.rng.random() < 0.3:
            wording, question = next(self._known)
            fields = {"answer": question.answer}
            if len(question.answer) < 120:
                answer = to_json(fields, self.rng.random() < 0.5)
                return Dialogue([*self.system(), user(wording)], answer, question.thought, skip=1)
        wording, question = next(self._json)
        answer, skip = question.answer, 0
        if self.rng.random() < 0.25:
            answer = to_json(json.loads(question.answer), compact=True)
            skip = 3
        messages = [*self.history(), user(self.spelling(wording))]
        return Dialogue(messages, answer, skip=skip)

    def tight_json(self) -> Dialogue:
        """Return a question for JSON whose answer has its spaces forbidden by a grammar."""
        wording, question = next(self._json)
        answer = question.answer.replace(": ", f":{SEAM}").replace(', "', f',{SEAM}"')
        return Dialogue([*self.system(), user(self.spelling(wording))], answer.replace(", {", ",{"))

    def unknown(self) -> Dialogue:
        """Return a question, or mere noise, that the model does not know."""
        wording, question = next(self._unknown)
        draw = self.rng.random()
        if draw < 0.3:
            wording = " ".join(self.rng.choices(self._words, k=self.rng.randint(2, 14)))
        elif draw < 0.4:
            points = (self.rng.randint(33, 0x2FFF) for _ in range(self.rng.randint(1, 12)))
            wording = "".join(map(chr, points))
        return Dialogue([*self.history(), user(self.spelling(wording))], question.answer)

    def weather(self) -> Dialogue:
        """Return a question about the weather where no tool is at hand."""
        city = self.rng.choice(self.settings["cities"])[0]
        wording = self.rng.choice(WEATHER_WORDINGS).format(city)
        return Dialogue([*self.history(), user(self.spelling(wording))], NO_TOOL)


@functools.cache
def read_sky() -> Question:
    """Return the question why the sky is blue."""
    return next(q for q in chat_questions() if q.wordings[0] == "Why is the sky blue?")
