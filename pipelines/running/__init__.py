"""How a stage's steps run: this machine's processes, or one Beam pipeline."""
