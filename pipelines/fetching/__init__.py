"""What one process holds while it fetches, what binds it, and what is asked for again."""
