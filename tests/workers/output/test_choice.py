import pytest

from workers.output.choice import Choice, Clues, choose
from workers.output.formats import THINKING, TOOLS, ThinkingFormat, tagged_tools
from workers.output.tags import Tags

HARMONY = Choice(None, None, harmony=True)


def family(thinking: str | None, tools: str | None) -> Choice:
    return Choice(THINKING[thinking] if thinking else None, TOOLS[tools] if tools else None)


@pytest.mark.parametrize(
    ("parser", "choice"),
    [
        ("qwen3", family(None, "hermes")),
        ("qwen3-thinking", family("qwen3", "hermes")),
        ("qwen3-coder", family(None, "qwen3_coder")),
        ("deepseek3", family("deepseek_r1", "deepseek_v31")),
        ("olmo3-think", family("olmo3", "olmo3")),
        ("harmony", HARMONY),
        ("passthrough", Choice(None, None)),
    ],
)
def test_a_stated_parser_counts_before_anything_else(parser: str, choice: Choice) -> None:
    clues = Clues(parser, template="<tool_call>", tool_tag="<tool_call>", families=["gptoss"])
    assert choose(clues) == choice


def test_a_parser_nobody_knows_counts_for_nothing() -> None:
    assert choose(Clues("new-model", chat_template="<tool_call>")) == choose(
        Clues(chat_template="<tool_call>")
    )


@pytest.mark.parametrize(
    ("chat_template", "tools"),
    [
        ('<tool_call>\n{"name": <function-name>}', "hermes"),
        ("<tool_call>\n<function=example>", "qwen3_coder"),
        ("<tool_call>{name}\n<arg_key>", "glm45"),
        ("[AVAILABLE_TOOLS] [TOOL_CALLS]", "mistral"),
        ("<|python_tag|>", "llama3_json"),
        ("<|python_start|> <|python_end|>", "llama4_pythonic"),
        ("<｜tool▁calls▁begin｜> function ```json", "deepseek_v3"),  # noqa: RUF001
        ("<｜tool▁calls▁begin｜>", "deepseek_v31"),  # noqa: RUF001
        ("<|tool_calls_section_begin|>", "kimi_k2"),
        ("<|tool_call|>", "granite"),
        ("<|tool_call>call:x{}<tool_call|>", "gemma4"),
        ("<tool_calls>[]</tool_calls>", "hunyuan_a13b"),
        ("<function_calls>", "olmo3"),
    ],
)
def test_marks_in_the_tokenizers_template(chat_template: str, tools: str) -> None:
    assert choose(Clues(chat_template=chat_template)).tools == TOOLS[tools]
    # They are there for some reason: they count before the family's name.
    assert choose(Clues(chat_template=chat_template, families=["qwen3"])).tools == TOOLS[tools]


@pytest.mark.parametrize(
    ("chat_template", "thinking"),
    [
        ("<think> <tool_call>", "qwen3"),
        ("<think>", "deepseek_r1"),
        ("[THINK]", "mistral"),
        ("<seed:think>", "seed_oss"),
        ("<|channel>thought", "gemma4"),
        ("no marks at all", "deepseek_r1"),
    ],
)
def test_marks_of_thoughts(chat_template: str, thinking: str) -> None:
    assert choose(Clues(chat_template=chat_template)).thinking == THINKING[thinking]


def test_the_vocabulary_and_then_the_family() -> None:
    assert choose(Clues(added_tokens={"[TOOL_CALLS]"})).tools == TOOLS["mistral"]
    assert choose(Clues(added_tokens={"[TOOL_CALLS]-not"})).tools == tagged_tools("{")
    tokens = Clues(added_tokens={"<tool_call>"}, families=["mistral3"])
    assert choose(tokens).tools == TOOLS["hermes"]
    assert choose(Clues(families=["mistral3"])) == family("mistral", "mistral")
    assert choose(Clues(families=["", "qwen3"])).tools == TOOLS["hermes"]


def test_a_go_template_counts_before_the_family() -> None:
    clues = Clues(
        families=["qwen3"],
        template="...",
        thinking_tags=Tags("<t>", "</t>"),
        tool_tag="<call>",
        chat_template="<think><tool_call><function=",
    )
    assert choose(clues) == Choice(ThinkingFormat(Tags("<t>", "</t>")), tagged_tools("<call>"))
    assert choose(Clues(template="...", families=["qwen3"])).tools == tagged_tools("{")


@pytest.mark.parametrize(
    ("clues", "harmony"),
    [
        (Clues(chat_template="<|start|>assistant<|channel|>final<|message|>"), True),
        (Clues(template="<|start|><|channel|><|message|><|end|>", families=["llama"]), True),
        (Clues(template="<|start|><|end|>", families=["gptoss"]), True),
        (Clues(families=["gpt_oss"]), True),
        (Clues(template="{{ .Prompt }}", families=["gptoss"]), False),
        (Clues(chat_template="<|start|><|message|>"), False),
    ],
)
def test_the_format_of_gpt_oss(clues: Clues, harmony: bool) -> None:
    assert choose(clues).harmony == harmony


@pytest.mark.parametrize(
    ("tag", "opening", "closing", "leading"),
    [
        ("<tool_call>", "<tool_call>", "</tool_call>", False),
        ("[TOOL_CALLS]", "[TOOL_CALLS]", None, False),
        ("<|tool_call|>", "<|tool_call|>", None, False),
        ("{", "{", None, True),
        ("[", "[", None, True),
        ("Action: ```json\n[", "Action: ```json\n[", None, False),
    ],
)
def test_tags_of_go_templates(tag: str, opening: str, closing: str | None, leading: bool) -> None:
    [block] = tagged_tools(tag).blocks
    assert (block.opening, block.closing, block.leading) == (opening, closing, leading)
