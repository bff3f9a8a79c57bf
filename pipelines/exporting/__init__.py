"""Tokens of a build in the formats of other loaders."""
