"""Scripts that benchmarks start in environments of their own; nothing here imports Trivium."""
