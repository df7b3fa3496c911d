"""vLLM's engine without a server: `python -m bench.bare_engine FOLDER compiled|eager`.

Reads loads from standard input, one a line, and writes the answers of each as another line. The
clients are tasks of this process.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict
from itertools import count

import psutil
import uvloop
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM

import bench.bare_vllm  # noqa: F401 - it sets the rest of vLLM's environment
from bench.closed_loop import Load, run_load
from bench.contestants import KV_CACHE, SEQUENCES, prompt
from bench.load import Answered
from bench.processes import Tree
from common.process import follow_parent


async def main(folder: str, execution: str) -> None:
    """Start the engine, say so, and take loads until there are no more."""
    engine = AsyncLLM.from_engine_args(
        AsyncEngineArgs(
            model=folder,
            dtype="bfloat16",
            kv_cache_memory_bytes=KV_CACHE,
            max_num_seqs=SEQUENCES,
            enforce_eager=execution == "eager",
            distributed_executor_backend="uni",
            worker_cls="bench.bare_vllm.Worker",
            disable_log_stats=True,
            use_tqdm_on_load=False,
        )
    )
    numbers = count()

    async def ask(_client: int, length: int) -> Answered:
        number = next(numbers)
        parameters = SamplingParams(
            max_tokens=length, temperature=0, output_kind=RequestOutputKind.DELTA
        )
        asked, first, tokens, records = time.monotonic(), 0.0, 0, 0
        async for output in engine.generate(prompt(number), parameters, str(number)):
            if not first and output.outputs[0].text.strip():
                first = time.monotonic()
            tokens += len(output.outputs[0].token_ids)
            records += 1
        if tokens != length:
            raise RuntimeError(f"an answer has {tokens} tokens and not {length}")
        ended = time.monotonic()
        return Answered(asked, first or ended, ended, tokens, "", records)

    tree = Tree(psutil.Process(), own="front and clients")
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        load = Load(**json.loads(line))
        measured, taken = await run_load(ask, load, tree)
        print(json.dumps(asdict(measured) | {"usage": asdict(taken)}), flush=True)
    engine.shutdown()


if __name__ == "__main__":
    follow_parent()
    uvloop.run(main(*sys.argv[1:]))
