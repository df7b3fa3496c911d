"""Tokenizers made of GGUF vocabularies give the tokens of the originals."""

from pathlib import Path

import pytest
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from tokenizers import BertWordPieceTokenizer
from transformers import AutoTokenizer

from common.errors import InvalidModel
from workers.gguf.folder import convert
from workers.gguf.source import Metadata
from workers.gguf.tokenizer import build_tokenizer
from workers.gguf.vocabulary import Vocabulary, read_vocabulary

DEMO = Path(__file__).parents[3] / "examples" / "demo_model"
TEXTS = [
    "",
    " ",
    "Hello world",
    " it's I'LL they're",
    "  two  spaces\n\n\nlines \r\n x",
    "I'm 12345 years, 3.14 na\u00efve",
    "\u65e5\u672c\u8a9e \u0627\u0644\u0639 \u0e44\u0e17\u0e22",
    "code(); x += 1 && y != 2  // ok\t\ttab",
    "\U0001f44d\U0001f3fd ok e\u0301",
    "<|im_start|>user\nhi<|im_end|>\n<think> x</think> <|im_start",
    "[PAD3071] <unk> </s>",
    "__init__(self):\n    return",
    "\u00a0nbsp\u2003em  ",
]


def test_the_demo_model_keeps_its_tokens_and_its_template(tmp_path: Path, demo_gguf: Path) -> None:
    convert(demo_gguf.parent, tmp_path, lambda *_: None, weights=False)
    original = AutoTokenizer.from_pretrained(DEMO / "model")
    made = AutoTokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        tokens = original.encode(text)
        assert made.encode(text) == tokens, text
        assert made.decode(tokens) == original.decode(tokens)
        skipped = made.decode(tokens, skip_special_tokens=True)
        assert skipped == original.decode(tokens, skip_special_tokens=True)
    assert made.chat_template == original.chat_template
    assert set(made.all_special_ids) == set(original.all_special_ids)
    assert made.eos_token_id == original.eos_token_id


@pytest.mark.parametrize("prefix", [True, False])
def test_sentencepiece(prefix: bool, tmp_path: Path) -> None:
    corpus = sorted((DEMO / "corpus").glob("*.md"))
    SentencePieceTrainer.train(
        input=[str(path) for path in corpus],
        model_prefix=str(tmp_path / "model"),
        vocab_size=700,
        model_type="bpe",
        byte_fallback=True,
        add_dummy_prefix=prefix,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    original = SentencePieceProcessor(model_file=str(tmp_path / "model.model"))
    numbers = range(original.vocab_size())
    kinds = [
        2
        if original.is_unknown(number)
        else 3
        if original.is_control(number)
        else 6
        if original.is_byte(number)
        else 1
        for number in numbers
    ]
    tokenizer = build_tokenizer(
        vocabulary(
            model="llama",
            tokens=[original.id_to_piece(number) for number in numbers],
            scores=[original.get_score(number) for number in numbers],
            token_type=kinds,
            bos_token_id=1,
            eos_token_id=2,
            unknown_token_id=0,
            add_space_prefix=prefix,
        )
    )
    for text in TEXTS:
        if "<" in text:
            continue  # SentencePiece itself never reads special tokens in text
        assert tokenizer.encode(text).ids == [1, *original.encode(text)], text
        assert tokenizer.decode(original.encode(text)) == text


def test_wordpiece(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "hello", "world", "##ly", "!", "na", "##ive", "2"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    original = BertWordPieceTokenizer(str(tmp_path / "vocab.txt"), lowercase=True)
    spelled = [
        word if word[0] == "[" else word[2:] if word[:2] == "##" else f"\u2581{word}"
        for word in words
    ]
    tokenizer = build_tokenizer(
        vocabulary(
            model="bert",
            tokens=spelled,
            token_type=[3, 3, 3, 3] + [1] * 7,
            cls_token_id=2,
            seperator_token_id=3,
            unknown_token_id=1,
            padding_token_id=0,
        )
    )
    for text in ("Hello worldly!", "NAIVE 2", "na\u00efve", "strange \u65e5", ""):
        assert tokenizer.encode(text).ids == original.encode(text).ids, text


def test_what_begins_and_ends_text_is_what_the_file_says() -> None:
    settings = {"add_bos_token": True, "add_eos_token": True}
    tokenizer = build_tokenizer(bytes_vocabulary("qwen2", **settings))
    assert tokenizer.encode("a").tokens == ["<s>", "a", "</s>"]
    assert build_tokenizer(bytes_vocabulary("qwen2")).encode("a").tokens == ["a"]
    assert build_tokenizer(bytes_vocabulary("llama-bpe")).encode("a").tokens == ["<s>", "a"]


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(InvalidModel, match=r"tokenizer\.ggml\.pre 'news' is not supported"):
        build_tokenizer(bytes_vocabulary("news"))


def test_ends_are_those_that_the_file_states_and_those_that_are_known() -> None:
    found = vocabulary(
        model="gpt2",
        tokens=["<eos>", "a", "<end_of_turn>", "<|eot_id|>"],
        token_type=[3, 1, 3, 1],
        eos_token_id=0,
    )
    assert found.ends == [0, 2]


def bytes_vocabulary(pre: str, **more: object) -> Vocabulary:
    return vocabulary(
        model="gpt2",
        pre=pre,
        tokens=["<s>", "</s>", "a", "b"],
        token_type=[3, 3, 1, 1],
        bos_token_id=0,
        eos_token_id=1,
        **more,
    )


def vocabulary(**keys: object) -> Vocabulary:
    metadata = {f"tokenizer.ggml.{name}": value for name, value in keys.items()}
    tokens = keys["tokens"]
    assert isinstance(tokens, list)
    return read_vocabulary(Metadata(metadata | {"general.architecture": "x"}), len(tokens))
