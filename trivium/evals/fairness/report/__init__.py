"""Fairness on one HTML page, for people who decide."""
