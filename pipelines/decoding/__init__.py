"""A stranger's bytes to pixels, in processes of their own."""
