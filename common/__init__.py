"""What every process shares; nothing that only one of them needs."""
