"""What every process shares; nothing that only one of them needs."""

import os

# Read when gRPC is imported. Its handlers for forks end a child that is about to become
# another program, if a thread of gRPC runs just then; and nothing here uses gRPC in a fork.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
