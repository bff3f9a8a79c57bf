"""The transformer and its trainer, standing on `tokens` alone."""
