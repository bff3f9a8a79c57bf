"""The training of the image tokenizer."""
