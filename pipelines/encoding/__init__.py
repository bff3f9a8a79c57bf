"""What encode works with: tokenizers, pictures read ahead, codes held against the reference."""
