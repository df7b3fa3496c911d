"""A small random model that sees, in a folder, as `save_pretrained` leaves one."""

from pathlib import Path

TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: "
    "{% if message.content is string %}{{ message.content }}"
    "{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}{{ '\n' }}{% endfor %}assistant: "
)

CONTEXT_LENGTH = 1024
TILE = 56
"""Pixels of a tile's side; larger images are cut into tiles, up to two by two."""
TILE_TOKENS = 4
"""Tokens that stand for one tile, apart from the marks around them."""

_ROWS = 2
_MARKS = [
    "<|end|>",
    "<image>",
    "<fake_token_around_image>",
    "<global-img>",
    "<end_of_utterance>",
    *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)),
]


def make_vision_folder(folder: Path) -> Path:
    """Write an Idefics3 model with random weights, its tokenizer and its image processor."""
    import torch
    from transformers import (
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
    )

    torch.manual_seed(1)
    tokenizer, vocabulary = _tokenizer()
    images = Idefics3ImageProcessor(
        size={"longest_edge": _ROWS * TILE}, max_image_size={"longest_edge": TILE}
    )
    processor = Idefics3Processor(
        images, tokenizer, image_seq_len=TILE_TOKENS, chat_template=TEMPLATE
    )
    processor.save_pretrained(folder)
    model = Idefics3ForConditionalGeneration(_config(vocabulary))  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    return folder


def _tokenizer() -> tuple[object, dict[str, int]]:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*_MARKS, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        pad_token="<|end|>",
        additional_special_tokens=_MARKS[1:],
    )
    return fast, vocabulary


def _config(vocabulary: dict[str, int]) -> object:
    from transformers import Idefics3Config

    size = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    text = {
        "model_type": "llama",
        "vocab_size": len(vocabulary),
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT_LENGTH,
        "pad_token_id": 0,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    return Idefics3Config(
        text_config=size | text,
        vision_config=size | {"image_size": TILE, "patch_size": TILE // 4},
        image_token_id=vocabulary["<image>"],
        scale_factor=2,
        pad_token_id=0,
    )
