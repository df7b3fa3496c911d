"""The commands that talk to a server, one file each or for those that belong together."""
