"""A pod, as a kubelet runs it: starts its container, probes it, starts it again, ends it."""

import asyncio
import math
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.k8s.manifests import Manifests, Object
from tests.k8s_rollout import probes
from tests.k8s_rollout.container_environment import MissingReference, environment_of
from tests.k8s_rollout.network import Network
from tests.k8s_rollout.sandbox import Place, Process, start_process
from tests.k8s_rollout.volumes import mounts_of

_GRACE = 30.0  # seconds, where the manifest says nothing
_LEAST_GRACE = 2.0  # after a hook that took it all
_FIRST_DELAY = 10.0  # before the second restart; it doubles
_LONGEST_DELAY = 300.0
_RETRY = 1.0


@dataclass(frozen=True)
class Assignment:
    """What a pod is to be, and where."""

    name: str
    workload: str
    """The kind and name of who made it."""
    revision: str
    labels: Mapping[str, str]
    spec: Object
    node: str
    namespace: str


@dataclass
class History:
    """What has become of a pod's container."""

    exits: list[int] = field(default_factory=list)
    """The statuses with which it ended, oldest first; negative: by that signal."""
    overdue: bool = False
    """Whether it had to be killed for it did not leave within its grace period."""
    trouble: str = ""
    """Why it cannot be started."""


class Pod:
    """One pod with one container."""

    def __init__(
        self, assignment: Assignment, manifests: Manifests, network: Network, folder: Path
    ) -> None:
        [self._container] = assignment.spec["containers"]
        assert "initContainers" not in assignment.spec
        self.assignment = assignment
        self.name = assignment.name
        self.address = ""
        self.leaving = False
        self.was_ready = False
        """Whether it has ever been."""
        self.gone = asyncio.Event()
        self.history = History()
        self._manifests = manifests
        self._network = network
        self._folder = folder
        self._own = folder / "pods" / f"{assignment.name}-{id(self)}"
        self._ready_since = math.inf
        self._process: Process | None = None
        self._left = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether its readiness probe says so."""
        return self._ready_since < math.inf

    def is_available(self, seconds: float) -> bool:
        """Tell whether it has been ready for some time."""
        return time.monotonic() - self._ready_since >= seconds

    @property
    def log(self) -> Path:
        """What its container has written."""
        return self._folder / "logs" / f"{self.name}.log"

    @property
    def ports(self) -> dict[str, int]:
        """Its ports by name."""
        return {port["name"]: port["containerPort"] for port in self._container["ports"]}

    async def run(self) -> None:
        """Run until it has been asked to leave, and has."""
        self._own.mkdir(parents=True)
        self.log.parent.mkdir(exist_ok=True)
        self.address = await self._network.add_pod(self._own.name)
        delay = 0.0
        while not self.leaving:
            try:
                self._process = await self._start()
            except MissingReference as error:
                self.history.trouble = str(error)
                await self._wait(_RETRY)
                continue
            await self._follow(self._process)
            await self._wait(delay)
            delay = min(delay * 2 or _FIRST_DELAY, _LONGEST_DELAY)
        await self._network.remove_pod(self._own.name)
        self.gone.set()

    async def leave(self) -> None:
        """Ask it to leave, with its hook and grace period; wait until it has."""
        if not self.leaving:
            self.leaving = True
            self._left.set()
            await self._end()
        await self.gone.wait()

    def kill(self) -> None:
        """End its container with SIGKILL, as a lack of memory would."""
        if self._process:
            self._process.send(signal.SIGKILL)

    async def _wait(self, seconds: float) -> None:
        """Wait for some time, or until it is to leave."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._left.wait(), seconds)

    async def _start(self) -> Process:
        its = self.assignment
        fields = {
            "metadata.name": its.name,
            "metadata.namespace": its.namespace,
            "spec.nodeName": its.node,
            "status.podIP": self.address,
        }
        environment = environment_of(self._container, self._manifests, fields)
        claims = self._folder / "claims"
        volumes = its.spec.get("volumes", [])
        mounts = mounts_of(self._container, volumes, self._manifests, self._own, claims)
        place = Place(self._own, self._own.name, its.name, its.namespace)
        assert "command" not in self._container
        return await start_process(place, self._container["args"], environment, mounts, self.log)

    async def _follow(self, process: Process) -> None:
        """Probe a process until it has ended."""
        if self.leaving:
            process.send(signal.SIGKILL)
        probing = asyncio.create_task(self._probe())
        status = await process.wait()
        probing.cancel()
        self._process = None
        self._ready_since = math.inf
        self.history.exits.append(status)

    async def _probe(self) -> None:
        if not await self._until("startupProbe", True):
            await self._end()
        else:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_readiness())
                group.create_task(self._follow_life())

    async def _follow_readiness(self) -> None:
        while True:
            await self._until("readinessProbe", True)
            self._ready_since = time.monotonic()
            self.was_ready = True
            await self._until("readinessProbe", False)
            self._ready_since = math.inf

    async def _follow_life(self) -> None:
        await self._until("livenessProbe", False)
        if not self.leaving:
            await self._end()

    async def _until(self, name: str, wanted: bool) -> bool:
        """Probe until it says what is wanted; a startup probe also until it fails."""
        probe = self._container[name]
        verdict = probes.Verdict(probe)
        while True:
            verdict.take(await probes.ask(probe, self.address, self.ports))
            if verdict.holds == wanted or (name == "startupProbe" and verdict.holds is False):
                return bool(verdict.holds)
            await probes.pause(probe)

    async def _end(self) -> None:
        """End the container, by force after its grace period."""
        process = self._process
        if not process:
            return
        grace = self.assignment.spec.get("terminationGracePeriodSeconds", _GRACE)
        deadline = time.monotonic() + grace
        await self._pre_stop(deadline)
        process.send(signal.SIGTERM)
        left = max(deadline - time.monotonic(), _LEAST_GRACE)
        try:
            await asyncio.wait_for(process.wait(), left)
        except TimeoutError:
            self.history.overdue = True
            process.send(signal.SIGKILL)

    async def _pre_stop(self, deadline: float) -> None:
        hook = self._container.get("lifecycle", {}).get("preStop")
        if hook:
            ((kind, what),) = hook.items()
            assert kind == "sleep", f"a hook of another kind: {kind}"
            await asyncio.sleep(min(what["seconds"], deadline - time.monotonic()))
