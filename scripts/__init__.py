"""Programs for those who work on Trivium."""
