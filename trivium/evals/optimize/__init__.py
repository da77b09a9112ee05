"""A better prompt, searched on one part of the rows, chosen on another, tested on a third."""
