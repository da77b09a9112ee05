"""Fairness: the authors' own measures over records, audits of a user's prompt, reports, gates."""
