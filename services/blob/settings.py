"""Settings of the Blob service."""

from common.settings import Duration, ServiceSettings, Settings


class BlobSettings(ServiceSettings):
    """Flags and variables of `python -m services.blob`."""

    listen: str = "127.0.0.1:50051"
    """Address to serve on: host:port or unix:/path."""

    store: str
    """Where models are kept: a folder's path, a file:// URL or s3://bucket/prefix."""

    collect_interval: Duration = "10m"
    """Time between two searches for garbage; 0 leaves the one at start-up."""

    collect_grace: Duration = "1h"
    """Age under which no blob and no unfinished upload is garbage."""

    noprune: bool = False
    """Never search for garbage unasked, at start-up or later."""

    drain_timeout: Duration = "30s"
    """How long running requests may take to finish after SIGTERM."""


class CollectSettings(Settings):
    """Flags and variables of `python -m services.blob.collect`."""

    store: str
    """Where models are kept, as for the service."""

    collect_grace: Duration = "1h"
    """Age under which no blob and no unfinished upload is garbage."""

    verbose: bool = False
    """Name what was removed."""


class FsckSettings(Settings):
    """Flags and variables of `python -m services.blob.fsck`."""

    store: str
    """Where models are kept, as for the service."""

    repair: bool = False
    """Delete blobs whose bytes are wrong, so that a pull or a create brings them again."""
