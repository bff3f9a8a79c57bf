"""The corpus build: the only package that imports Apache Beam."""
