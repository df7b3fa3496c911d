"""Mistakes that one could make in k8s/, and by what they are found."""

from typing import NamedTuple

from tests.k8s.rendering import Combination

GPU = Combination("gpu")
LOCAL = Combination("local")
KEDA = Combination("keda")
PRODUCTION = Combination("production")
LARGE = Combination("large-models")
WITHOUT_KEYS = Combination("gpu", ("workload-identity",))


class Mistake(NamedTuple):
    """One text in place of another in a file, and how that is found."""

    file: str
    right: str
    wrong: str
    check: str
    found: str
    combination: Combination = GPU


MISTAKES = {
    "a field's name": Mistake(
        "base/workers.yaml", "failureThreshold: 150", "failureTreshold: 150", "schemas", "Treshold"
    ),
    "a field of another version": Mistake(
        "base/blob.yaml",
        "sleep: {seconds: 35}",
        "sleep: {second: 35}",
        "schemas",
        "preStop.sleep",
    ),
    "a field of a custom resource": Mistake(
        "components/tls/certificates.yaml",
        "dnsNames: [paddock.internal]",
        "dnsName: paddock.internal",
        "schemas",
        "Certificate paddock-tls",
        PRODUCTION,
    ),
    "a kind that nobody knows": Mistake(
        "overlays/keda/scaled-object.yaml",
        "kind: ScaledObject",
        "kind: ScalingObject",
        "schemas",
        "Couldn't find schema for kind ScalingObject",
        KEDA,
    ),
    "a field of a group's pods": Mistake(
        "components/multi-node/group.yaml",
        "enableServiceLinks: false",
        "enableServiceLink: false",
        "schemas",
        "enableServiceLink",
        LARGE,
    ),
    "a service that leads nowhere": Mistake(
        "base/blob.yaml",
        "selector: {app.kubernetes.io/component: blob}",
        "selector: {app.kubernetes.io/component: blobs}",
        "selectors",
        "Service paddock-blob selects []",
    ),
    "a budget for nobody": Mistake(
        "base/gateway.yaml",
        "AlwaysAllow\n  selector:\n    matchLabels: {app.kubernetes.io/component: gateway}",
        "AlwaysAllow\n  selector:\n    matchLabels: {app.kubernetes.io/component: gate}",
        "selectors",
        "PodDisruptionBudget paddock-gateway selects nothing",
    ),
    "one that owns another's pods": Mistake(
        "components/multi-node/group.yaml",
        "paddock.internal/spans: nodes",
        "paddock.internal/spans: node",
        "selectors",
        "owns the pods of",
        LARGE,
    ),
    "a variable that is no setting": Mistake(
        "base/registry.yaml",
        "{name: PADDOCK_BLOB,",
        "{name: PADDOCK_BLOBS,",
        "environment",
        "PADDOCK_BLOBS is no setting of services.registry",
    ),
    "a variable of another process": Mistake(
        "base/blob.yaml",
        "{name: PADDOCK_DRAIN_TIMEOUT,",
        "{name: PADDOCK_DRAIN_DELAY,",
        "environment",
        "PADDOCK_DRAIN_DELAY is no setting of services.blob",
    ),
    "a value that is refused": Mistake(
        "base/gateway.yaml", "value: 300s", "value: 300", "environment", "drain_timeout"
    ),
    "an address that is left at home": Mistake(
        "base/inference.yaml",
        '            - {name: PADDOCK_REGISTRY, value: "paddock-registry:50052"}\n',
        "",
        "environment",
        "PADDOCK_REGISTRY is not set",
    ),
    "no store": Mistake(
        "overlays/local/blob.yaml", "PADDOCK_STORE", "AWS_ROLE_ARN", "environment", "store", LOCAL
    ),
    "GPUs that no model uses": Mistake(
        "components/multi-gpu/worker.yaml", 'value: "4"', 'value: "2"', "environment", "4", LARGE
    ),
    "TLS without a key": Mistake(
        "components/tls/pod-template.yaml",
        "value: {name: PADDOCK_TLS_KEY, value: /etc/paddock/tls/tls.key}",
        "value: {name: PADDOCK_LOG_LEVEL, value: INFO}",
        "environment",
        "of TLS's files only",
        PRODUCTION,
    ),
    "TLS for some": Mistake(
        "components/tls/kustomization.yaml",
        "kind: (Deployment|StatefulSet)",
        "kind: Deployment",
        "environment",
        "some processes have TLS and some have not",
        PRODUCTION,
    ),
    "a probe at another port": Mistake(
        "base/registry.yaml", "grpc: {port: 8081}", "grpc: {port: 8082}", "ports", "asks at 8082"
    ),
    "a probe for another service": Mistake(
        "base/workers.yaml", "service: live", "service: alive", "ports", '"alive"'
    ),
    "a page that is not there": Mistake(
        "base/gateway.yaml", "path: /healthz", "path: /health", "ports", "/health'"
    ),
    "a process that dies with its store": Mistake(
        "base/blob.yaml",
        "livenessProbe:\n            grpc: {port: 8081, service: live}",
        "livenessProbe:\n            grpc: {port: 8081}",
        "ports",
        "livenessProbe asks for",
    ),
    "a port at which nobody listens": Mistake(
        "base/inference.yaml", "containerPort: 50053", "containerPort: 50054", "ports", "50054"
    ),
    "loopback": Mistake(
        "base/workers.yaml",
        'PADDOCK_LISTEN, value: "0.0.0.0',
        'PADDOCK_LISTEN, value: "127.0.0.1',
        "ports",
        "PADDOCK_LISTEN is not to be reached",
    ),
    "a port that nobody scrapes": Mistake(
        "components/monitoring/pod-monitors.yaml",
        "port: metrics",
        "port: metric",
        "ports",
        "has no metric",
        PRODUCTION,
    ),
    "a secret's key": Mistake(
        "overlays/gpu/s3.yaml",
        "key: access-key-id",
        "key: access-key",
        "references",
        "nobody makes paddock-s3/access-key",
    ),
    "a volume": Mistake(
        "base/workers.yaml",
        "- {name: shm, emptyDir: {medium: Memory, sizeLimit: 2Gi}}",
        "- {name: shn, emptyDir: {medium: Memory, sizeLimit: 2Gi}}",
        "references",
        "the volume shm",
    ),
    "a path that cannot be written": Mistake(
        "base/workers.yaml",
        "value: /var/cache/paddock/home",
        "value: /home/paddock",
        "references",
        "no volume has /home/paddock",
    ),
    "a claim": Mistake(
        "overlays/local/worker.yaml",
        "claimName: paddock-models",
        "claimName: paddock-model",
        "references",
        "no claim paddock-model",
        LOCAL,
    ),
    "a service account": Mistake(
        "components/workload-identity/blob.yaml",
        "serviceAccountName: paddock-blob",
        "serviceAccountName: blob",
        "references",
        "no service account blob",
        WITHOUT_KEYS,
    ),
    "a grace that is too short": Mistake(
        "base/gateway.yaml",
        "terminationGracePeriodSeconds: 325",
        "terminationGracePeriodSeconds: 300",
        "termination",
        "is killed after 300 s",
    ),
    "leaving before anybody knows": Mistake(
        "base/blob.yaml",
        "sleep: {seconds: 35}",
        "sleep: {seconds: 10}",
        "termination",
        "leaves before its callers can know",
    ),
    "a drain that is noticed too late": Mistake(
        "base/gateway.yaml",
        "{path: /readyz/gateway, port: http}\n            periodSeconds: 2",
        "{path: /readyz/gateway, port: http}\n            periodSeconds: 20",
        "termination",
        "when it has gone",
    ),
    "a follower that leaves first": Mistake(
        "components/multi-node/group.yaml",
        "sleep: {seconds: 75}",
        "sleep: {seconds: 5}",
        "termination",
        "leaves before its leader has drained",
        LARGE,
    ),
    "metrics for everybody": Mistake(
        "components/ingress/ingress.yaml",
        "pathType: Exact",
        "pathType: Prefix",
        "ingress",
        "/metrics is open",
        PRODUCTION,
    ),
    "an API of which a part is missing": Mistake(
        "components/ingress/ingress.yaml",
        "path: /api",
        "path: /api/tags",
        "ingress",
        "/api/chat is missing",
        PRODUCTION,
    ),
    "a channel that is cut": Mistake(
        "base/network-policies.yaml",
        "values: [gateway, inference]",
        "values: [gateway]",
        "network",
        "paddock-registry:50052 from paddock-inference is cut",
    ),
    "a channel that nobody needs": Mistake(
        "base/network-policies.yaml",
        "      ports:\n        - {protocol: TCP, port: 50061}\n---",
        "---",
        "network",
        "paddock-inference to paddock-worker:8081 is open",
    ),
    "a caller that has no business there": Mistake(
        "base/network-policies.yaml",
        "values: [gateway, registry, worker]",
        "values: [gateway, registry, worker, inference]",
        "network",
        "paddock-blob:50051 from paddock-inference is open",
    ),
    "a name server that is not one": Mistake(
        "base/network-policies.yaml",
        "matchExpressions:\n              - {key: k8s-app, operator: In, values: [kube-dns]}",
        "matchLabels: {k8s-app: kube-dns}",
        "network",
        "port 53: not True",
    ),
    "a process that may go anywhere": Mistake(
        "base/network-policies.yaml",
        "    - ports:\n        - {protocol: TCP, port: 443}",
        "    - {}",
        "network",
        "port 80: not False",
    ),
    "a bucket that is out of reach": Mistake(
        "overlays/gpu/s3-network-policy.yaml",
        "values: [blob, worker]",
        "values: [blob]",
        "network",
        "port 443: not True",
    ),
    "a Prometheus that is kept out": Mistake(
        "components/monitoring/network-policy.yaml",
        "port: 9090",
        "port: 9091",
        "network",
        "port 9090: not True",
        PRODUCTION,
    ),
    "an address of nobody": Mistake(
        "base/workers.yaml",
        '"paddock-blob:50051"',
        '"paddock-blob:50052"',
        "network",
        "nothing serves paddock-blob:50052",
    ),
    "a container that is root": Mistake(
        "base/registry.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "pod_security", "root"
    ),
    "capabilities": Mistake(
        "components/multi-node/group.yaml",
        "drop: [ALL]",
        "drop: [NET_RAW]",
        "pod_security",
        "keeps capabilities",
        LARGE,
    ),
    "a folder of the host": Mistake(
        "base/gateway.yaml",
        "{name: tmp, emptyDir: {}}",
        "{name: tmp, hostPath: {path: /tmp}}",
        "pod_security",
        "forbidden kind",
    ),
    "a number that is fought over": Mistake(
        "components/autoscaling/kustomization.yaml",
        "kind: StatefulSet, name: paddock-worker}\n    patch: |-\n      - op: remove\n"
        "        path: /spec/replicas",
        "kind: StatefulSet, name: paddock-worker}\n    patch: |-\n      - op: replace\n"
        "        path: /spec/replicas\n        value: 3",
        "scaling",
        "would set the number",
        PRODUCTION,
    ),
    "a scaler of nothing": Mistake(
        "overlays/keda/scaled-object.yaml",
        "kind: StatefulSet, name: paddock-worker}",
        "kind: Deployment, name: paddock-worker}",
        "scaling",
        "scales nothing",
        KEDA,
    ),
    "a metric that no adapter gives": Mistake(
        "components/autoscaling/worker.yaml",
        "metric: {name: paddock_requests}",
        "metric: {name: paddock_request}",
        "scaling",
        "no adapter gives paddock_request",
        PRODUCTION,
    ),
    "a budget that holds up a node": Mistake(
        "base/workers.yaml",
        "spec:\n  maxUnavailable: 1\n",
        "spec:\n  minAvailable: 1\n",
        "scaling",
        "could never be drained",
    ),
    "an alert on nothing": Mistake(
        "components/monitoring/alerts.yaml",
        "(paddock_queue_oldest_seconds)",
        "(paddock_queue_age_seconds)",
        "series",
        "paddock_queue_age_seconds is not exported",
        PRODUCTION,
    ),
    "a counter by its bare name": Mistake(
        "components/monitoring/alerts.yaml",
        "paddock_requests_refused_total",
        "paddock_requests_refused",
        "series",
        "paddock_requests_refused is not exported",
        PRODUCTION,
    ),
}
