"""Token shards to batches: order, windows, remote parts, mixing, captions tokenised anew."""
