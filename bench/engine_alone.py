"""vLLM's `AsyncLLM` and its users in one process: `python -m bench.engine_alone LOAD`."""

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict
from itertools import count

os.environ |= {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "TORCHDYNAMO_DISABLE": "1",
}

import psutil
import uvloop
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.inputs.engine import tokens_input
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM

from bench.bare_vllm import KV_CACHE
from bench.token_cost import DEMO, SEQUENCES, Counted, Figures, Load, prompt, watch
from common.process import follow_parent


async def measure(load: Load) -> Figures:
    """Keep as many answers going as the load says, each read by a task."""
    llm = AsyncLLM.from_engine_args(
        AsyncEngineArgs(
            model=str(DEMO),
            dtype="bfloat16",
            kv_cache_memory_bytes=KV_CACHE,
            max_num_seqs=SEQUENCES,
            enforce_eager=True,
            distributed_executor_backend="uni",
            worker_cls="bench.bare_vllm.Worker",
            disable_log_stats=True,
            use_tqdm_on_load=False,
        )
    )
    counted, numbers = Counted(), count()

    async def ask() -> None:
        while True:
            await _ask(llm, load, counted, next(numbers))

    tasks = [asyncio.create_task(ask()) for _ in range(load.streams)]
    figures = await watch(load, counted, psutil.Process())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    llm.shutdown()
    return figures


async def _ask(llm: AsyncLLM, load: Load, counted: Counted, number: int) -> None:
    asked, first = time.monotonic(), True
    tokens = llm.get_tokenizer().encode(prompt(number))
    parameters = SamplingParams(
        max_tokens=load.tokens,
        temperature=load.temperature,
        output_kind=RequestOutputKind.DELTA,
    )
    async for output in llm.generate(tokens_input(tokens), parameters, str(number)):
        if first:
            counted.waits.append(time.monotonic() - asked)
        first = False
        counted.messages += 1
        counted.tokens += len(output.outputs[0].token_ids)
    counted.answers += 1


if __name__ == "__main__":
    follow_parent()
    wanted = Load(**json.loads(sys.argv[1]))
    print(json.dumps(asdict(uvloop.run(measure(wanted)))))
