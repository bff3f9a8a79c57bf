"""What the transformer is made of: attention in pieces and blocks, branches, heads."""
