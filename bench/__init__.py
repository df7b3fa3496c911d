"""Side-by-side measurements: each against a peer, in the same run on the same machine."""
