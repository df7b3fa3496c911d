"""A small random model in a folder, as `save_pretrained` leaves one: not the demo's kind."""

import hashlib
from pathlib import Path

import ollama

TEMPLATE = "{% for message in messages %}[{{ message.role }}] {{ message.content }}\n{% endfor %}>"


def make_folder(folder: Path, shards: int = 2) -> Path:
    """Write a Qwen2 model with random weights in several shards, and its tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(1)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<|end|>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token="<|end|>"
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    config = Qwen2Config(
        vocab_size=len(vocabulary),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=0,
        tie_word_embeddings=False,
    )
    model = Qwen2ForCausalLM(config)  # type: ignore[no-untyped-call]
    model.bfloat16()
    size = sum(parameter.nbytes for parameter in model.parameters())
    model.save_pretrained(folder, max_shard_size=size // shards)
    return folder


def upload(client: ollama.Client, folder: Path) -> dict[str, str]:
    """Upload a folder's files as blobs; give digests by name."""
    files = {}
    for path in sorted(folder.iterdir()):
        digest = client.create_blob(path)
        assert digest == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        files[path.name] = digest
    return files
