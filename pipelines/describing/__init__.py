"""The card and croissant.json of a corpus."""
