"""The guarded fetcher: what may be dialled, and how a stranger's URL becomes bytes or a reason."""
