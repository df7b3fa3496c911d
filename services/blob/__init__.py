"""The Blob service: owns the store, and is the only one that writes to it."""
