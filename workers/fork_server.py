"""Imported by the fork server that engine processes are forked from, before anything else.

It makes a fork cheap, by importing vLLM once, and safe: the kernel kills the fork server
when the worker ends, every engine when the fork server ends, and an engine's own processes
when the engine ends. (The fork server is started by the worker's main thread, which lives as
long as the worker.)
"""

import gc
import logging
import os

from common.cpus import run_on_all
from workers.lifeline import end_forks, end_with
from workers.vllm_environment import WORKER_VARIABLE

end_with(int(os.environ[WORKER_VARIABLE]))
end_forks()
run_on_all()

logging.getLogger("vllm").setLevel(os.environ.get("VLLM_LOGGING_LEVEL", "INFO"))

# Nearly all that imports make stays: looking for garbage meanwhile takes a third of their time.
gc.disable()

# Slow, and what the forks are for; the tie to the worker has to come first.
from workers.engine_preparation import prepare_engines  # noqa: E402

prepare_engines()

# A fork neither looks for garbage in what is here, nor copies it for that.
gc.freeze()
gc.enable()
