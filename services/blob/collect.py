"""`python -m services.blob.collect`: one search for garbage, beside a service or without one."""

import sys
from collections.abc import Iterator
from datetime import timedelta

from common.errors import PaddockError
from common.process import configure_logging, follow_parent
from common.settings import read_settings, seconds
from services.blob.collection import Collected, Collector
from services.blob.settings import CollectSettings
from store.opening import open_store


def report(collected: Collected, verbose: bool) -> Iterator[str]:
    """Say in lines what went."""
    if verbose:
        for blob in collected.deleted:
            yield f"{blob.digest} {blob.size}"
        for name in collected.manifests:
            yield f"{name.path}"
    yield f"removed {collected.blobs} blobs with {collected.size} bytes"
    if collected.manifests:
        yield f"removed {len(collected.manifests)} conversions of models that are gone"
    if collected.uploads:
        yield f"removed {collected.uploads} unfinished uploads"


def main() -> None:
    """Collect, and leave with status 1 if that was not possible."""
    settings = read_settings(CollectSettings, "python -m services.blob.collect")
    configure_logging("collect", "ERROR")
    follow_parent()
    grace = timedelta(seconds=seconds(settings.collect_grace))
    try:
        collected = Collector(open_store(settings.store), grace).collect_all()
    except PaddockError as error:
        sys.exit(f"collect: {error.message}")
    for line in report(collected, settings.verbose):
        print(line)
    if collected.obstacle:
        sys.exit(1)


if __name__ == "__main__":
    main()
