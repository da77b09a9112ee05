"""One module a claim: `python -m benchmarks.NAME` prints both sides and the ratio of one run."""
