"""The tests. A package, lest another program's `tests` among the installed ones take its place."""
