"""A real S3 server: OpenStack Swift with its s3api, one node, on loopback, for a test run.

Four processes from the PyPI package `swift`, as whoever runs the tests. Nothing is
installed, and nothing outside the given folder is written.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ACCESS_KEY = "test:tester"
SECRET_KEY = "testing"
REGION = "us-east-1"

_START_TIMEOUT = 60.0  # seconds
_PR_SET_PDEATHSIG = 1  # of prctl(2)
_BACKENDS = ("account", "container", "object")

_RINGS = """
import sys
from swift.common.ring import RingBuilder
for kind, port in zip(sys.argv[2::2], sys.argv[3::2]):
    builder = RingBuilder(2, 1, 0)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port),
                     "device": "disk", "weight": 1.0})
    builder.rebalance()
    builder.get_ring().save(f"{sys.argv[1]}/{kind}.ring.gz")
"""

_SWIFT = """
[swift-hash]
swift_hash_path_suffix = tests
swift_hash_path_prefix = tests
[storage-policy:0]
name = default
default = yes
"""

_BACKEND = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_address = /nonexistent
log_level = WARNING
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

# A node that failed is asked again at once: by default ten failures would make the only
# one unavailable for a minute.
_PROXY = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {folder}
log_address = /nonexistent
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
error_suppression_limit = 1000000000
error_suppression_interval = 0
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {secret} .admin
[filter:s3api]
use = egg:swift#s3api
location = {region}
check_bucket_owner = false
max_upload_part_num = 10000
[filter:slo]
use = egg:swift#slo
max_manifest_segments = 10000
max_manifest_size = 16777216
rate_limit_after_segment = 10000
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
error_suppression_interval = 3600
error_suppression_limit = 1
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:copy]
use = egg:swift#copy
[filter:dlo]
use = egg:swift#dlo
[filter:symlink]
use = egg:swift#symlink
"""  # noqa: E501


@dataclass
class Swift:
    """A running server; `environment` is what S3 clients need to talk to it."""

    folder: Path
    ports: Mapping[str, int]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports['proxy']}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> "S3Client":
        """Make a client of our own, whatever the environment says."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    def start(self, kind: str) -> None:
        """Start one of its processes: `account`, `container`, `object` or `proxy`."""
        program = Path(sys.executable).parent / f"swift-{kind}-server"
        with (self.folder / f"{kind}.log").open("ab") as log:
            self.processes[kind] = subprocess.Popen(
                [sys.executable, program, self.folder / f"{kind}.conf", "-v"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_the_parent,
            )

    def wait_until_up(self) -> None:
        """Wait until every process answers."""
        deadline = time.monotonic() + _START_TIMEOUT
        for kind, port in self.ports.items():
            while not _listens(port):
                if self.processes[kind].poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / f"{kind}.log").read_text(errors="replace")
                    raise RuntimeError(f"swift-{kind}-server did not start: {log[-2000:]}")
                time.sleep(0.05)

    def kill(self, kind: str) -> None:
        """Kill one of its processes, with those that it has started."""
        process = self.processes.pop(kind)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def running_swift(folder: Path) -> Iterator[Swift]:
    """Run a new, empty server that keeps its data in a folder."""
    swift = Swift(folder, dict(zip((*_BACKENDS, "proxy"), _free_ports(4), strict=True)))
    _configure(swift)
    try:
        for kind in swift.ports:
            swift.start(kind)
        swift.wait_until_up()
        yield swift
    finally:
        for kind in list(swift.processes):
            swift.kill(kind)


def _configure(swift: Swift) -> None:
    folder = swift.folder
    (folder / "devices" / "disk").mkdir(parents=True)
    (folder / "swift.conf").write_text(_SWIFT)
    for kind in _BACKENDS:
        text = _BACKEND.format(kind=kind, port=swift.ports[kind], folder=folder)
        (folder / f"{kind}.conf").write_text(text)
    proxy = _PROXY.format(
        port=swift.ports["proxy"], folder=folder, secret=SECRET_KEY, region=REGION
    )
    (folder / "proxy.conf").write_text(proxy)
    ports = [text for kind in _BACKENDS for text in (kind, str(swift.ports[kind]))]
    subprocess.run([sys.executable, "-c", _RINGS, folder, *ports], check=True)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(bound.getsockname()[1]) for bound in sockets]
    for bound in sockets:
        bound.close()
    return ports


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _end_with_the_parent() -> None:
    """Have the kernel end the new process when the test run dies, however it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
