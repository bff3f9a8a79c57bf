"""Corpora as TOML; `pipelines.recipe` reads them."""
