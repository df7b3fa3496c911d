"""`python -m workers.download`: does one job of `workers.download.process`."""

import asyncio
import json
import os
import pickle
import sys

import uvloop

from common.cpus import run_on_all
from common.errors import Internal, PaddockError
from common.process import configure_logging, watch_lifeline
from common.rpc import open_channel
from protos.paddock.v1 import blob_pb2_grpc
from workers.download.downloads import Downloads
from workers.download.process import Job
from workers.download.received import Received
from workers.tasks import run_all

_REPORT_SECONDS = 0.25


async def bring(job: Job) -> None:
    """Bring what is wanted, and tell how much has arrived meanwhile."""
    received = Received()
    async with open_channel(job.address) as channel:
        blobs = blob_pb2_grpc.BlobServiceStub(channel)
        downloads = Downloads(blobs, job.limits, received.add)
        reporting = asyncio.create_task(_report(received))
        await run_all(downloads.bring(wanted) for wanted in job.wanted)
        reporting.cancel()
    _say(received=received.take())


async def _report(received: Received) -> None:
    while True:
        await asyncio.sleep(_REPORT_SECONDS)
        _say(received=received.take())


def _say(**words: object) -> None:
    print(json.dumps(words), flush=True)


def main() -> None:
    """Do the job, say how it ended, and end at once: threads may still be reading."""
    configure_logging("download", "INFO")
    run_on_all()
    job: Job = pickle.load(sys.stdin.buffer)
    watch_lifeline(sys.stdin.fileno())
    try:
        uvloop.run(bring(job))
        _say(done=True)
    except PaddockError as error:
        _say(reason=error.reason(), message=error.message)
    except OSError as error:
        _say(errno=error.errno or 0, message=error.strerror or str(error))
    except Exception as error:
        _say(reason=Internal.reason(), message=f"internal error: {error!r}")
    os._exit(0)


if __name__ == "__main__":
    main()
