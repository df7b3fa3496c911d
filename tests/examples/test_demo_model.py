"""Checks the demo model's corpus, its prompts and the files of the model folder."""

import hashlib
import json
import random
from collections import Counter
from pathlib import Path

import pytest
from jinja2 import Template
from tokenizers import Tokenizer

from examples.demo_model import documents, prompts, questions, samples
from examples.demo_model.curriculum import KINDS, ROUNDS
from examples.demo_model.dialogues import SEAM, Chats, Dialogue, user
from examples.demo_model.tool_dialogues import ToolChats, call, calls_message, tool_message

FOLDER = Path(prompts.__file__).parent
MODEL = FOLDER / "model"
WEATHER = {"type": "function", "function": {"name": "get_current_weather", "parameters": {}}}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(MODEL / "tokenizer.json"))


@pytest.fixture(scope="module")
def card() -> str:
    return (FOLDER / "README.md").read_text(encoding="utf-8")


def test_markdown_section_has_wordings_thought_and_answer() -> None:
    text = "# Topic\n\n## One?\n- Two?\n> Think,\n> more.\n\nFirst.\n\n- second\n"
    (question,) = questions.parse_markdown(text)
    assert question.wordings == ("One?", "Two?")
    assert question.thought == "Think, more."
    assert question.answer == "First.\n\n- second"


def test_variants_keep_the_words() -> None:
    assert questions.variants("Who is Peach?") == [
        "Who is Peach?",
        "Who is Peach",
        "who is Peach?",
        "who is peach?",
        "who is peach",
    ]


def test_corpus_is_large_enough() -> None:
    known = questions.chat_questions()
    assert len(known) >= 250
    assert all(question.answer and len(question.wordings) >= 2 for question in known)


@pytest.mark.parametrize(
    "asked",
    [
        questions.chat_questions()
        + questions.json_questions()
        + questions.read_markdown("unknown"),
        questions.read_markdown("mario"),
    ],
    ids=["plain", "mario"],
)
def test_no_question_has_two_answers(asked: list[questions.Question]) -> None:
    forms = [{questions.normal_form(wording) for wording in one.wordings} for one in asked]
    counts = Counter(form for found in forms for form in found)
    assert [form for form, count in counts.items() if count > 1] == []


def test_json_answers_are_json() -> None:
    for question in questions.json_questions():
        value = json.loads(question.answer)
        assert json.loads(questions.to_json(value, compact=True)) == value


def test_draws_depend_on_the_seed_alone() -> None:
    first, second = (iter(samples.Source(3, dict.fromkeys(KINDS, 1))) for _ in range(2))
    assert [next(first).text for _ in range(200)] == [next(second).text for _ in range(200)]


def test_rounds_weigh_every_kind() -> None:
    assert all(set(one.mix) == set(KINDS) and one.mix["plain"] for one in ROUNDS)


def test_prompt_follows_chatml() -> None:
    messages = [{"role": "system", "content": "Be kind."}, user("Hi")]
    prompt = prompts.render(messages)
    assert prompt == (
        "<|im_start|>system\nBe kind.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_forbidden_thinking_closes_the_block_in_the_prompt() -> None:
    allowed = prompts.render([user("Hi")])
    forbidden = prompts.render([user("Hi")], thinking=False)
    assert forbidden == f"{allowed}<think>\n\n</think>\n\n"


def test_earlier_thoughts_are_dropped() -> None:
    said = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nYes."}
    prompt = prompts.render([user("Really?"), said, user("Sure?")])
    assert "hm" not in prompt
    assert "<|im_start|>assistant\nYes.<|im_end|>" in prompt


def test_content_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo!"}]
    message = {"role": "user", "content": parts}
    assert prompts.render([message]) == prompts.render([user("Hello!")])


def test_tools_and_their_results_are_shown() -> None:
    calls = [("get_current_weather", {"location": city}) for city in ("Paris, FR", "London, GB")]
    results = [tool_message("get_current_weather", text) for text in ("sunny", "rainy")]
    prompt = prompts.render([user("Weather?"), calls_message(calls), *results], [WEATHER])
    assert json.dumps(WEATHER) in prompt
    assert "assistant\n" + "\n".join(call(*one) for one in calls) + "<|im_end|>" in prompt
    assert (
        "<|im_start|>user\n<tool_response>\nsunny\n</tool_response>"
        "\n<tool_response>\nrainy\n</tool_response><|im_end|>"
    ) in prompt


def test_learnt_tokens_are_the_answers(tokenizer: Tokenizer) -> None:
    history = [user("Hello!"), {"role": "assistant", "content": "Hello! How are you today?"}]
    dialogue = Dialogue([*history, user("Thanks!")], "You are welcome!")
    sample = samples.encode(samples.dialogue_text(dialogue, thinking=False), tokenizer)
    pairs = zip(sample.tokens, sample.learn, strict=True)
    learnt = tokenizer.decode([token for token, learn in pairs if learn], skip_special_tokens=False)
    assert learnt == "! How are you today?<|im_end|>You are welcome!<|im_end|>"


def test_tokens_do_not_reach_across_a_seam(tokenizer: Tokenizer) -> None:
    text = samples.document_text("", f'{{"age":{SEAM}22,{SEAM}"free":{SEAM}true}}')
    sample = samples.encode(text, tokenizer)
    assert tokenizer.decode(sample.tokens) == '{"age":22,"free":true}'
    assert tokenizer.token_to_id(',"') not in sample.tokens
    assert all(sample.learn)


def test_holes_rebuild_their_function() -> None:
    for snippet in documents.snippets():
        for prompt, middle in documents.holes(snippet):
            prefix, suffix = prompt.removesuffix("<|fim_middle|>").split("<|fim_suffix|>")
            prefix = prefix.removeprefix("<|fim_prefix|>")
            assert prefix + middle.removesuffix(documents.END) + suffix == snippet


def test_tool_calls_name_an_offered_tool() -> None:
    tools = ToolChats(Chats(random.Random(1)))
    for _ in range(300):
        dialogue = tools.draw()
        offered = {tool["function"]["name"] for tool in dialogue.tools}
        for line in dialogue.answer.splitlines():
            if line.startswith("{"):
                assert json.loads(line)["name"] in offered


@pytest.mark.parametrize(
    "text",
    ["Hello, world!", "Grüße, 世界 \U0001f999\u0000\n\t x", "<think>\nhm\n</think>\n\n12 + 30"],
)
def test_tokenizer_round_trip(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=True) == text


def test_special_tokens_are_single_and_skipped(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("<|im_start|><|im_end|><|fim_middle|>").ids
    assert len(ids) == 3
    assert tokenizer.decode(ids, skip_special_tokens=True) == ""


def test_model_folder_agrees_with_the_source(tokenizer: Tokenizer) -> None:
    config = json.loads((MODEL / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["dtype"] == "bfloat16"
    assert config["vocab_size"] == tokenizer.get_vocab_size()
    ends = [tokenizer.token_to_id(token) for token in ("<|im_end|>", "<|endoftext|>")]
    assert json.loads((MODEL / "generation_config.json").read_text())["eos_token_id"] == ends
    template = (MODEL / "chat_template.jinja").read_text(encoding="utf-8")
    assert template == prompts.TEMPLATE.read_text(encoding="utf-8")
    assert Template(template)


def test_model_folder_is_small() -> None:
    assert (MODEL / "model.safetensors").stat().st_size <= 12_000_000
    assert sum(path.stat().st_size for path in MODEL.iterdir()) <= 13_000_000


def test_card_names_the_weights(card: str) -> None:
    digest = hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest()
    assert digest in card
