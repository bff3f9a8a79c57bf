"""The meeting place of pipeline and trainer: tokenizers, crops, sequences, shards and manifests."""
