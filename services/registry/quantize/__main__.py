"""`python -m services.registry.quantize`: quantises the files of one job, then ends.

The registry starts it, gives it the job on standard input, and listens. When standard input
closes, nobody wants the result any more.
"""

import asyncio
import os
import sys

from common.process import configure_logging, watch_lifeline
from services.registry.quantize.job import Job
from services.registry.quantize.worker import work

_NICENESS = 10


def main() -> None:
    """Do the job."""
    configure_logging("quantize", "WARNING")
    job = Job.model_validate_json(sys.stdin.buffer.readline())
    watch_lifeline(sys.stdin.fileno())
    os.nice(_NICENESS)
    if not asyncio.run(work(job)):
        sys.exit(1)


if __name__ == "__main__":
    main()
