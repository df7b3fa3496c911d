"""vLLM alone in a fresh process: `python -m bench.bare_vllm FOLDER` prints how long it took."""

import asyncio
import json
import os
import sys
import time
import uuid

STARTED = time.perf_counter()

os.environ |= {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "HF_HUB_OFFLINE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}

import torch  # noqa: E402
from vllm import SamplingParams  # noqa: E402
from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: E402
from vllm.v1.engine.async_llm import AsyncLLM  # noqa: E402
from vllm.v1.worker.cpu_worker import CPUWorker  # noqa: E402

KV_CACHE = 256 << 20


class Worker(CPUWorker):
    """vLLM's own, with the permission that its kernels need on some machines."""

    def init_device(self) -> None:
        """Ask for it."""
        if torch.cpu._is_amx_tile_supported():
            torch.cpu._init_amx()
        super().init_device()  # type: ignore[no-untyped-call]


async def first_token(folder: str) -> dict[str, float]:
    """Start an engine and wait for its first token; give seconds since the process began."""
    imported = time.perf_counter() - STARTED
    engine = AsyncLLM.from_engine_args(
        AsyncEngineArgs(
            model=folder,
            dtype="bfloat16",
            kv_cache_memory_bytes=KV_CACHE,
            max_num_seqs=256,
            enforce_eager=True,
            distributed_executor_backend="uni",
            worker_cls="bench.bare_vllm.Worker",
            disable_log_stats=True,
            use_tqdm_on_load=False,
        )
    )
    answer = engine.generate("Why?", SamplingParams(max_tokens=1), uuid.uuid4().hex)
    async for _ in answer:
        pass
    taken = {"imports": imported, "first token": time.perf_counter() - STARTED}
    engine.shutdown()
    return taken


if __name__ == "__main__":
    print(json.dumps(asyncio.run(first_token(sys.argv[1]))))
