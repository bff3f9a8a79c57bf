"""What select is made of: verdicts of rules, duplicates of four kinds, evaluation sets."""
