"""What a build reads: lists by dialect, pictures at hand, several sources; all of it to rows."""
