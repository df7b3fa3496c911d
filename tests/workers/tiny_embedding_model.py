"""Small random models that embed, in folders, as sentence-transformers leaves them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SIZE = 64
DENSE_SIZE = 32

_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "why", "is", "the", "sky", "blue", "?"]
_MODULES = "sentence_transformers.models"


def make_embedding_folder(folder: Path, pooling: str, *, dense: bool) -> Path:
    """Write a BERT with `pooling` "mean" or "cls", with or without a dense layer after it."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(2)
    _write_tokenizer(folder)
    config = BertConfig(
        vocab_size=len(_WORDS),
        hidden_size=SIZE,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=128,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    modes = {
        f"pooling_mode_{mode}": mode.startswith(pooling) for mode in ("mean_tokens", "cls_token")
    }
    _write_module(folder, "1_Pooling", {"word_embedding_dimension": SIZE, **modes})
    if dense:
        _write_dense(folder / "2_Dense")
    modules = ["", "1_Pooling", *(["2_Dense"] if dense else []), "3_Normalize"]
    listed = [
        {"idx": at, "name": str(at), "path": path, "type": f"{_MODULES}.{_kind(path)}"}
        for at, path in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    return folder


def expected(folder: Path, tokens: list[int], pooling: str, *, dense: bool) -> "torch.Tensor":
    """Compute a vector in the plain way, not normalised."""
    import torch
    from safetensors.torch import load_file
    from transformers import BertModel

    model = BertModel.from_pretrained(folder)
    with torch.no_grad():
        states = model(torch.tensor([tokens])).last_hidden_state[0]
    vector: torch.Tensor = states.mean(0) if pooling == "mean" else states[0]
    if dense:
        weights = load_file(folder / "2_Dense" / "model.safetensors")
        vector = torch.tanh(weights["linear.weight"] @ vector + weights["linear.bias"])
    return vector


def _kind(path: str) -> str:
    return path.partition("_")[2] or "Transformer"


def _write_tokenizer(folder: Path) -> None:
    from tokenizers import BertWordPieceTokenizer
    from transformers import PreTrainedTokenizerFast

    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(_WORDS))
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=BertWordPieceTokenizer(str(vocabulary)),
        unk_token="[UNK]",
        pad_token="[PAD]",
    )
    fast.save_pretrained(folder)


def _write_module(folder: Path, name: str, config: dict[str, object]) -> None:
    (folder / name).mkdir()
    (folder / name / "config.json").write_text(json.dumps(config))


def _write_dense(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    config = {
        "in_features": SIZE,
        "out_features": DENSE_SIZE,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    }
    _write_module(folder.parent, folder.name, config)
    weights = {
        "linear.weight": torch.randn(DENSE_SIZE, SIZE),
        "linear.bias": torch.randn(DENSE_SIZE),
    }
    save_file(weights, folder / "model.safetensors")
