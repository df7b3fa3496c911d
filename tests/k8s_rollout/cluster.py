"""The cluster: what `kubectl` does to it, and what it then does by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.k8s.manifests import Manifests, Object, name_of, selects
from tests.k8s_rollout.controllers import KINDS, Controller, assign, revision_of, state_of
from tests.k8s_rollout.name_server import serving_names
from tests.k8s_rollout.network import NAME_SERVER, Network
from tests.k8s_rollout.pod import Pod
from tests.k8s_rollout.rolling import may_evict
from tests.k8s_rollout.services import PROPAGATION, Services

_INTERVAL = 0.1  # seconds between two looks at everything
_EVICTION_RETRY = 1.0
_ANNOTATION = "kubectl.kubernetes.io/restartedAt"


class Cluster:
    """Some nodes, and what was applied to them."""

    def __init__(self, network: Network, folder: Path, nodes: int) -> None:
        self.network = network
        self.services = Services(network)
        self.gone: list[Pod] = []
        """Pods that have left."""
        self._folder = folder
        self._nodes = [f"node-{number}" for number in range(nodes)]
        self._cordoned: set[str] = set()
        self._manifests = Manifests([])
        self._controllers: dict[str, Controller] = {}
        self._pods: dict[str, Pod] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pods(self) -> list[Pod]:
        """All pods that are not gone."""
        return list(self._pods.values())

    @property
    def workloads(self) -> list[str]:
        """Everything that makes pods, named as in `Deployment/paddock-blob`."""
        return list(self._controllers)

    def pods_of(self, workload: str) -> list[Pod]:
        """Give the pods of a workload."""
        return [pod for pod in self.pods if pod.assignment.workload == workload]

    async def apply(self, objects: list[Object]) -> None:
        """Have all objects, at once."""
        self._manifests.objects.extend(objects)
        for found in objects:
            if found["kind"] == "Service":
                await self.services.add(found)
            if controller := KINDS.get(found["kind"]):
                self._controllers[f"{found['kind']}/{name_of(found)}"] = controller(found)

    def restart(self, workload: str) -> None:
        """Change the template of a workload's pods, as `kubectl rollout restart` does."""
        self.template(workload)["metadata"].setdefault("annotations", {})[_ANNOTATION] = str(
            time.monotonic()
        )

    def template(self, workload: str) -> Object:
        """Give what the pods of a workload are made from; it may be changed."""
        found: Object = self._controllers[workload].workload["spec"]["template"]
        return found

    def scale(self, workload: str, replicas: int) -> None:
        """Have another number of pods."""
        self._controllers[workload].workload["spec"]["replicas"] = replicas

    async def rolled_out(self, workload: str) -> None:
        """Wait as `kubectl rollout status` does: until all pods are new ones, and ready."""

        def is_done() -> bool:
            workload_now = self._controllers[workload].workload
            revision = revision_of(workload_now)
            staying = [pod for pod in self.pods_of(workload) if not pod.leaving]
            return len(staying) == workload_now["spec"].get("replicas", 1) and all(
                pod.ready and pod.assignment.revision == revision for pod in staying
            )

        await self.until(is_done)

    async def settled(self) -> None:
        """Wait until all have learned of what was done before."""
        await asyncio.sleep(PROPAGATION + _INTERVAL)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something holds; the test's own time limit ends it."""
        while not condition():
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(_INTERVAL)

    def drain(self, node: str) -> asyncio.Future[Any]:
        """Let a node take no pods, and evict those that it has; done when they are gone.

        As `kubectl drain`: all at once, each again and again until its budget lets it go.
        """
        self._cordoned.add(node)
        leaving = [pod for pod in self.pods if pod.assignment.node == node and not pod.leaving]
        return asyncio.gather(*(self._evict(pod) for pod in leaving))

    def uncordon(self, node: str) -> None:
        """Let a node take pods again."""
        self._cordoned.discard(node)

    def begin(self) -> None:
        """Do what the controllers do from now on."""
        self._start(self._follow())

    def end(self) -> None:
        """Kill everything."""
        self.services.close()
        for task in self._tasks:
            task.cancel()
        for pod in self.pods:
            pod.kill()

    async def _follow(self) -> None:
        while True:
            for key, controller in self._controllers.items():
                self._step(key, controller)
            self.services.look(self.pods)
            await asyncio.sleep(_INTERVAL)

    def _step(self, key: str, controller: Controller) -> None:
        names, leaving = controller.step(self.pods_of(key))
        for pod in leaving:
            self._start(pod.leave())
        nodes = [node for node in self._nodes if node not in self._cordoned]
        for name in names:
            assignment = assign(controller, name, nodes, self.pods)
            pod = Pod(assignment, self._manifests, self.network, self._folder)
            self._pods[name] = pod
            self._start(self._run(pod))

    def _start(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self._tasks.add(task)

    async def _run(self, pod: Pod) -> None:
        await pod.run()
        del self._pods[pod.name]
        self.gone.append(pod)

    async def _evict(self, pod: Pod) -> None:
        while not self._may_go(pod):
            await asyncio.sleep(_EVICTION_RETRY)
        await pod.leave()

    def _may_go(self, pod: Pod) -> bool:
        """Tell whether every disruption budget that selects a pod lets it go."""
        return all(
            self._lets_go(budget["spec"], pod)
            for budget in self._manifests.of_kind("PodDisruptionBudget")
            if selects(budget["spec"]["selector"], pod.assignment.labels)
        )

    def _lets_go(self, budget: Object, pod: Pod) -> bool:
        chosen = [it for it in self.pods if selects(budget["selector"], it.assignment.labels)]
        expected = sum(
            self._controllers[key].workload["spec"].get("replicas", 1)
            for key in {it.assignment.workload for it in chosen}
        )
        return may_evict(budget, expected, state_of(pod, 0), [state_of(it, 0) for it in chosen])


@asynccontextmanager
async def running_cluster(folder: Path, nodes: int) -> AsyncIterator[Cluster]:
    """Run an empty cluster; at the end nothing of it runs."""
    network = Network()
    await network.start()
    cluster = Cluster(network, folder, nodes)
    async with serving_names(NAME_SERVER, cluster.services.records):
        cluster.begin()
        try:
            yield cluster
        finally:
            cluster.end()
