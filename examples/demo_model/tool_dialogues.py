"""Draws training dialogues in which the model calls tools and reports what they returned."""

from dataclasses import dataclass
from typing import Any

from examples.demo_model.dialogues import (
    NO_TOOL,
    WEATHER_WORDINGS,
    Chats,
    Deck,
    Dialogue,
    assistant,
    pairs,
    user,
)
from examples.demo_model.prompts import Message, Tool
from examples.demo_model.questions import chat_questions, to_json

NUMBERS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
)
WEATHER_NAMES = ("get_current_weather",) * 6 + ("get_weather", "get_temperature")
WEATHER_DESCRIPTIONS = (
    "Get the current weather for a location",
    "Get the current weather for a city",
    "Get the current temperature for a city",
    "Get the current weather in a given location",
    "Returns the weather of a place",
    "Look up the weather",
)
PLACE_DESCRIPTIONS = (
    "The location to get the weather for, e.g. San Francisco, CA",
    "The city and state, e.g. San Francisco, CA",
    "The name of the city",
    "The city",
    "Where",
)
UNIT_DESCRIPTIONS = (
    "The format to return the weather in, e.g. 'celsius' or 'fahrenheit'",
    "The unit of the temperature",
    "celsius or fahrenheit",
)
SUM_WORDINGS = (
    "What is {} + {}?",
    "What is {} plus {}?",
    "What's {} + {}?",
    "How much is {} plus {}?",
    "Add {} and {}.",
)
PARALLEL_WORDINGS = (
    "What is the weather today in {} and in {}?",
    "What is the weather in {} and in {}?",
    "What is the weather in {} and {}?",
    "What's the weather like in {} and in {}?",
    "Compare the weather in {} and {}.",
)
SKIES = ("sunny", "cloudy", "rainy", "snowy", "windy", "foggy")


@dataclass(frozen=True)
class WeatherTool:
    """One of the shapes in which clients declare a weather tool."""

    schema: Tool
    name: str
    place: str
    unit: str

    def arguments(self, city: tuple[str, str], unit: str) -> dict[str, str]:
        """Return the arguments with which the model calls the tool."""
        place = city[0] if self.place == "city" else f"{city[0]}, {city[1]}"
        return {self.place: place} | ({self.unit: unit} if self.unit else {})


def schema(name: str, description: str, properties: dict[str, Any], required: list[str]) -> Tool:
    """Return a tool as a client declares it."""
    parameters = {"type": "object", "properties": properties, "required": required}
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


def sort_keys(value: Any) -> Any:
    """Return the value with the keys of all its objects sorted, as some transports leave it."""
    if isinstance(value, dict):
        return {key: sort_keys(value[key]) for key in sorted(value)}
    return [sort_keys(item) for item in value] if isinstance(value, list) else value


def call(name: str, arguments: dict[str, Any]) -> str:
    """Return a tool call as the model writes it."""
    return f"<tool_call>\n{to_json({'name': name, 'arguments': arguments})}\n</tool_call>"


def called(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a tool call as a client sends it back in the history."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def calls_message(calls: list[tuple[str, dict[str, Any]]]) -> Message:
    """Return the assistant message that made the calls."""
    return assistant("") | {"tool_calls": [called(*one) for one in calls]}


def tool_message(name: str, content: str) -> Message:
    """Return the message that carries the result of a call."""
    return {"role": "tool", "tool_name": name, "content": content}


class ToolChats:
    """Draws dialogues with tools from the same generator as the plain chats."""

    def __init__(self, chats: Chats) -> None:
        self.chats = chats
        self.rng = chats.rng
        self.cities = [tuple(city) for city in chats.settings["cities"]]
        kept = [pair for pair in pairs(chat_questions()) if not _looks_like_a_sum(pair[0])]
        self._others = Deck(kept, self.rng)

    def draw(self) -> Dialogue:
        """Return a dialogue of a random kind."""
        kinds = (self._weather, self.pair, self.sum, self._other, self._no_weather_tool)
        return self.rng.choices(kinds, (50, 14, 20, 12, 4))[0]()

    def weather_tool(self) -> WeatherTool:
        """Return a weather tool in one of its shapes."""
        rng = self.rng
        place = rng.choice(("location", "location", "city"))
        unit = rng.choice(("format", "format", "unit", "")) if place == "location" else ""
        properties: dict[str, Any] = {place: {"type": "string"}}
        if rng.random() < 0.9:
            properties[place]["description"] = rng.choice(PLACE_DESCRIPTIONS)
        if unit:
            properties[unit] = {"type": "string"}
            if rng.random() < 0.8:
                properties[unit]["description"] = rng.choice(UNIT_DESCRIPTIONS)
            if rng.random() < 0.8:
                properties[unit]["enum"] = ["celsius", "fahrenheit"]
        required = [place, unit] if unit and rng.random() < 0.7 else [place]
        name = rng.choice(WEATHER_NAMES)
        tool = schema(name, rng.choice(WEATHER_DESCRIPTIONS), properties, required)
        return WeatherTool(tool, name, place, unit)

    def sum_tool(self, kind: str = "add") -> Tool:
        """Return a tool that adds or subtracts two numbers."""
        number = {"type": self.rng.choice(("integer", "integer", "number"))}
        properties = {}
        for name, ordinal in (("a", "first"), ("b", "second")):
            described = {"description": f"The {ordinal} number"} if self.rng.random() < 0.6 else {}
            properties[name] = number | described
        text = self.rng.choice((f"{kind.capitalize()} two numbers", f"{kind} two numbers", ""))
        return schema(f"{kind}_two_numbers", text, properties, ["a", "b"])

    def _offer(self, *tools: Tool) -> list[Tool]:
        others = [self.sum_tool("subtract"), self._search_tool()]
        if not any("add_two" in tool["function"]["name"] for tool in tools):
            others.append(self.sum_tool())
        offered = [*tools, *self.rng.sample(others, self.rng.choice((0, 0, 0, 1)))]
        self.rng.shuffle(offered)
        return [sort_keys(tool) for tool in offered] if self.rng.random() < 0.4 else offered

    def _search_tool(self) -> Tool:
        name = self.rng.choice(("search_web", "get_stock_price", "send_email", "read_file"))
        return schema(name, name.replace("_", " "), {"query": {"type": "string"}}, ["query"])

    def _opening(self) -> list[Message]:
        earlier = self.chats.turn() if self.rng.random() < 0.12 else []
        return [*self.chats.system(), *earlier]

    def _weather(self) -> Dialogue:
        tool, city = self.weather_tool(), self.rng.choice(self.cities)
        place = f"{city[0]}, {city[1]}" if self.rng.random() < 0.1 else city[0]
        question = self.rng.choice(WEATHER_WORDINGS).format(place)
        unit = "celsius"
        if self.rng.random() < 0.15:
            unit = self.rng.choice(("celsius", "fahrenheit"))
            question = f"{question.rstrip('?.')} in {unit}?"
        calls = [(tool.name, tool.arguments(city, unit))]
        content, words = self.result()
        results = [tool_message(tool.name, content)]
        answer = f"It is {words} in {city[0]}."
        return self._cut([tool.schema], question, calls, results, answer)

    def pair(self) -> Dialogue:
        """Return a question about the weather in two cities."""
        tool = self.weather_tool()
        first, second = self.rng.sample(self.cities, 2)
        question = self.rng.choice(PARALLEL_WORDINGS).format(first[0], second[0])
        calls = [(tool.name, tool.arguments(city, "celsius")) for city in (first, second)]
        (content_1, words_1), (content_2, words_2) = self.result(), self.result()
        results = [tool_message(tool.name, content) for content in (content_1, content_2)]
        answer = f"It is {words_1} in {first[0]} and {words_2} in {second[0]}."
        return self._cut([tool.schema], question, calls, results, answer)

    def sum(self) -> Dialogue:
        """Return a sum to be done with a tool."""
        a, b = self.rng.randint(0, 20), self.rng.randint(0, 20)
        in_words = self.rng.random() < 0.3
        shown = (NUMBERS[a], NUMBERS[b]) if in_words else (str(a), str(b))
        question = self.rng.choice(SUM_WORDINGS).format(*shown)
        calls = [("add_two_numbers", {"a": a, "b": b})]
        results = [tool_message("add_two_numbers", str(a + b))]
        tools = [self.sum_tool()]
        if self.rng.random() < 0.3:
            tools.append(self.weather_tool().schema)
        return self._cut(tools, question, calls, results, f"{a} plus {b} is {a + b}.")

    def _cut(
        self,
        tools: list[Tool],
        question: str,
        calls: list[tuple[str, dict[str, Any]]],
        results: list[Message],
        answer: str,
    ) -> Dialogue:
        """End the dialogue either before the calls or after their results."""
        start = [*self._opening(), user(self.chats.spelling(question))]
        offered = self._offer(*tools)
        if self.rng.random() < 0.55:
            return Dialogue(start, "\n".join(call(*one) for one in calls), tools=offered)
        return Dialogue([*start, calls_message(calls), *results], answer, tools=offered)

    def _other(self) -> Dialogue:
        """Return a question that needs no tool although tools are offered."""
        wording, question = next(self._others)
        tool = self.rng.choice((self.weather_tool().schema, self.sum_tool()))
        messages = [*self._opening(), user(self.chats.spelling(wording))]
        return Dialogue(messages, question.answer, question.thought, self._offer(tool))

    def _no_weather_tool(self) -> Dialogue:
        city = self.rng.choice(self.cities)[0]
        question = self.rng.choice(WEATHER_WORDINGS).format(city)
        messages = [*self._opening(), user(self.chats.spelling(question))]
        return Dialogue(messages, NO_TOOL, tools=self._offer(self.sum_tool()))

    def result(self) -> tuple[str, str]:
        """Return what a weather tool sends and how the model says it."""
        number, sky = self.rng.randint(-9, 40), self.rng.choice(SKIES)
        plain = self.rng.choice(
            (
                f"{number} degrees celsius",
                f"{number} degrees celsius",
                f"{number} degrees fahrenheit",
                f"{number} degrees",
                f"{number}°C",
                f"{number}",
                f"{number} C",
                sky,
                f"{sky} and {number} degrees celsius",
                f"{sky}, {number}°C",
            )
        )
        if self.rng.random() < 0.75:
            return plain, plain
        if self.rng.random() < 0.5:
            return to_json({"temperature": number}), f"{number} degrees"
        return to_json({"temperature": f"{number}°C", "conditions": sky}), f"{number}°C and {sky}"


def _looks_like_a_sum(wording: str) -> bool:
    return "plus" in wording or "+" in wording
