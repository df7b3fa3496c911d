"""`python -m gateway`: serve HTTP until asked to stop."""

import asyncio
import sys

from common.cpus import answer_on
from common.process import run_process
from common.settings import read_settings
from gateway.server import Gateway
from gateway.settings import GatewaySettings


def main() -> None:
    """Run the gateway process."""
    settings = read_settings(GatewaySettings, "python -m gateway")

    async def serve(stop: asyncio.Event) -> None:
        gateway = Gateway(settings)
        try:
            await gateway.start()
        except OSError as error:
            sys.exit(f"gateway: cannot listen on {settings.host}: {error.strerror}")
        answer_on(settings.serving_cpus)
        await stop.wait()
        await gateway.stop()

    run_process("gateway", settings.log_level, serve)


if __name__ == "__main__":
    main()
