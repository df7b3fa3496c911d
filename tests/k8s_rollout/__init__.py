"""A cluster that runs the rendered manifests with real processes, and what is tried on it.

There is no Kubernetes here. What it would do with the manifests is done in its place:

- each pod is a process in namespaces of its own: network (with an address on a bridge), mounts
  (a read-only root, and the volumes where the manifest mounts them), PIDs, host name;
- its arguments, variables, probes, hooks and grace periods are those of the rendered YAML;
- Deployments, the StatefulSet and evictions go the steps that their controllers go;
- a name server answers for the Services, as slowly as a cluster's does, and what stands for a
  cluster's proxy takes the connections to their addresses.

Everything is in a user namespace, so that it needs no rights and leaves nothing.

What is replaced in the manifests is in `replacements`: workers simulate their engines and ask for
no GPU. Not simulated are users (all are root of the user namespace), limits of memory and CPU,
network policies, and the parts of pods that our manifests have none of: those are refused.
"""
