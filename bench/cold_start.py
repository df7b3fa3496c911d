"""From a request to the first token of a cold model: `python -m bench.cold_start`.

Paddock over a folder store and over a bucket (OpenStack Swift on this machine), against vLLM
that loads the same files from a local folder in a fresh process. Paddock's workers have vLLM
imported before the request comes; so what vLLM needs after its imports is given as well, for
which there is no goal. Files are in the page cache for all of them.
"""

import argparse
import http.client
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from bench.measure import MEGABYTE, in_turn
from tests.integration.safetensors_folder import upload
from tests.integration.suite import Suite, eventually, running_suite
from tests.servers.swift import running_swift

MODEL = "cold:latest"
BUCKET = "models"
# Of what vLLM takes in a fresh process.
_GOAL = 0.5
# Of embeddings; the rest of the model is a hundred megabytes at most.
_VOCABULARY = 256
_HIDDEN = 1024
_LAYER_SIZE = 2 * (4 * _HIDDEN * _HIDDEN + 3 * _HIDDEN * 4 * _HIDDEN)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=300, help="megabytes of weights")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        model = make_model(root / "model", arguments.size * MEGABYTE)
        bare = root / "bare.json"
        with running_suite(root / "folder") as folder, suite_on_s3(root) as bucket:
            for suite in (folder, bucket):
                suite.client.create(MODEL, files=upload(suite.client, model))
                first_token(suite, MODEL)  # imports what the model's architecture needs
            taken = in_turn(
                {
                    "vLLM, fresh process": lambda: run_bare(model, bare),
                    "Paddock, folder": lambda: cold(folder),
                    "Paddock, S3": lambda: cold(bucket),
                },
                arguments.rounds,
            )
        imports = [json.loads(line)["imports"] for line in bare.read_text().splitlines()]
    whole = taken["vLLM, fresh process"]
    taken["vLLM after its imports"] = [a - b for a, b in zip(whole, imports, strict=True)]
    print(f"Seconds to the first token, {arguments.size} MB, {arguments.rounds} rounds\n")
    print_starts(taken, statistics.median(whole))


def print_starts(taken: Mapping[str, Sequence[float]], whole: float) -> None:
    """Print each way's seconds, and what of a whole start of vLLM they are, as a table."""
    print("| | median | spread | of vLLM's start | goal | met |")
    print("|---|---|---|---|---|---|")
    for way, seconds in taken.items():
        ratio = statistics.median(seconds) / whole
        goal, met = "", ""
        if way.startswith("Paddock"):
            goal, met = f"<= {_GOAL}", "yes" if ratio <= _GOAL else "no"
        print(
            f"| {way} | {statistics.median(seconds):.2f} s "
            f"| {min(seconds):.2f} to {max(seconds):.2f} s | {ratio:.2f} | {goal} | {met} |"
        )


def make_model(folder: Path, size: int) -> Path:
    """Write a Llama with about `size` bytes of random weights, in shards, and its tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: at for at, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token=alphabet[0]
    ).save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=_VOCABULARY,
        hidden_size=_HIDDEN,
        intermediate_size=4 * _HIDDEN,
        num_hidden_layers=max(size // _LAYER_SIZE, 1),
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=2048,
    )
    model = LlamaForCausalLM(config)  # type: ignore[no-untyped-call]
    model.bfloat16()
    model.save_pretrained(folder, max_shard_size=size // 4)
    return folder


@contextmanager
def suite_on_s3(root: Path) -> Iterator[Suite]:
    """Run a suite over a bucket."""
    (root / "swift").mkdir()
    with running_swift(root / "swift") as swift:
        swift.client().create_bucket(Bucket=BUCKET)
        environment = swift.environment | {"PADDOCK_STORE": f"s3://{BUCKET}"}
        with running_suite(root / "bucket", **environment) as suite:
            yield suite


def cold(suite: Suite) -> float:
    """Forget the model, on disk as well; give the seconds to its first token."""
    suite.client.generate(MODEL, keep_alive=0)
    eventually(lambda: MODEL not in suite.running())
    shutil.rmtree(suite.home / "cache" / "models")
    (suite.home / "cache" / "models").mkdir()
    return first_token(suite, MODEL)


def first_token(suite: Suite, model: str) -> float:
    """Ask a model for one token; give the seconds until it comes."""
    connection = http.client.HTTPConnection(urlsplit(suite.url).netloc)
    body = {"model": model, "prompt": "Why?", "raw": True, "options": {"num_predict": 1}}
    started = time.perf_counter()
    connection.request("POST", "/api/generate", json.dumps(body))
    line = json.loads(connection.getresponse().readline())
    seconds = time.perf_counter() - started
    assert "error" not in line, line
    connection.close()
    return seconds


def run_bare(model: Path, log: Path) -> float:
    """Give the seconds of vLLM in a process of its own."""
    command = [sys.executable, "-m", "bench.bare_vllm", str(model)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = told.strip().splitlines()[-1]
    with log.open("a") as file:
        file.write(line + "\n")
    return float(json.loads(line)["first token"])


if __name__ == "__main__":
    main()
