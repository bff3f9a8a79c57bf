"""How pairs are taken out of a build for good."""
