"""Pictures from captions: decoding, choosing, guidance, ranking, sheets."""
