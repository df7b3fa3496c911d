"""Trains the demo model from its corpus and writes the model folder.

Run it as `python -m examples.demo_model.train`. The same seed, library versions and number of
threads give the same draws; the last bits of the weights also depend on the processor.
"""

import argparse
import hashlib
import itertools
import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from examples.demo_model import tokenizer as tokenizers
from examples.demo_model.curriculum import ROUNDS
from examples.demo_model.samples import Sample, Source, batches

MODEL = Path(__file__).parent / "model"
VOCABULARY = 3072
CONTEXT = 2048
ROW_LENGTH = 1280  # longest row in training
BATCH_TOKENS = 3072
TOKENIZER_TEXTS = 4000
WARMUP = 30
MUON_RATE = 0.02
ADAM_RATE = 0.004


def configuration(tokenizer: Tokenizer) -> LlamaConfig:
    """Return the shape of the model: about three million parameters."""
    stop, end = tokenizers.token_ids(tokenizer, "<|im_end|>", "<|endoftext|>")
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=end,
        pad_token_id=end,
        eos_token_id=[stop, end],
    )


def optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices inside the layers and AdamW for everything else."""
    named = list(model.named_parameters())
    matrices = [weight for name, weight in named if "layers" in name and weight.ndim == 2]
    others = [weight for name, weight in named if "layers" not in name or weight.ndim != 2]
    muon = torch.optim.Muon(matrices, lr=MUON_RATE, weight_decay=0.01, momentum=0.95)
    adam = torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    return [muon, adam]


def rate(step: int, steps: int) -> float:
    """Return the share of the full learning rate: a short warm-up, then a cosine to zero."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (steps - WARMUP)))


def tensors(rows: list[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the padded tokens, and a mask of the positions whose next token is learnt."""
    width = max(len(row.tokens) for row in rows)
    tokens = torch.zeros((len(rows), width), dtype=torch.long)
    learn = torch.zeros((len(rows), width), dtype=torch.bool)
    for i, row in enumerate(rows):
        tokens[i, : len(row.tokens)] = torch.tensor(row.tokens)
        learn[i, : len(row.learn) - 1] = torch.tensor(row.learn[1:])
    return tokens, learn


def loss(model: LlamaForCausalLM, tokens: torch.Tensor, learn: torch.Tensor) -> torch.Tensor:
    """Return the mean loss; logits are computed only where something is learnt.

    NOTE: rows are padded at their end, so causal attention needs no further mask.
    """
    hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state
    targets = tokens.roll(-1, dims=1)[learn]
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[learn]), targets)


def fit(model: LlamaForCausalLM, stream: Iterator[list[Sample]], steps: int, peak: float) -> None:
    """Train the model on the given number of batches."""
    parts = optimizers(model)
    full = [group["lr"] for part in parts for group in part.param_groups]
    began, seen, recent = time.monotonic(), 0, 0.0
    model.train()
    for step, rows in enumerate(itertools.islice(stream, steps)):
        tokens, learn = tensors(rows)
        groups = (group for part in parts for group in part.param_groups)
        for group, lr in zip(groups, full, strict=True):
            group["lr"] = lr * peak * rate(step, steps)
        value = loss(model, tokens, learn)
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for part in parts:
            part.step()
            part.zero_grad()
        seen, recent = seen + tokens.numel(), recent + value.item() / 50
        if step % 50 == 49:
            seconds = time.monotonic() - began
            print(f"{step + 1:5}  loss {recent:.4f}  {seen} tokens  {seconds:.0f} s", flush=True)
            recent = 0.0


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, folder: Path) -> str:
    """Write the model folder and return the digest of the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizers.save(tokenizer, folder, CONTEXT)
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=model.config.eos_token_id, pad_token_id=model.config.pad_token_id
    )
    model.bfloat16().save_pretrained(folder)
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def main() -> None:
    """Train the tokenizer and the model, and write both after each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=MODEL)
    parser.add_argument("--skip", type=int, default=0, help="rounds already done in the output")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    texts = itertools.islice(Source(options.seed, ROUNDS[0].mix), TOKENIZER_TEXTS)
    tokenizer = tokenizers.train((text.text for text in texts), VOCABULARY)
    model = LlamaForCausalLM(configuration(tokenizer))  # type: ignore[no-untyped-call]
    print(f"{model.num_parameters()} parameters")
    for number, one in enumerate(ROUNDS[options.skip :], options.skip):
        if number:  # each round starts from the weights as the last one wrote them
            model = LlamaForCausalLM.from_pretrained(options.output, dtype=torch.float32)
        source = Source(options.seed + 1 + number, one.mix)
        stream = batches(source, tokenizer, BATCH_TOKENS, ROW_LENGTH)
        fit(model, stream, one.steps, one.peak)
        print("sha256", save(model, tokenizer, options.output))


if __name__ == "__main__":
    main()
