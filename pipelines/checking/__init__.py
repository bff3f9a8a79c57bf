"""A build's files against its manifests, and two builds against each other."""
