"""The one trainer: what is read, in which order, the loop, checkpoints, processes."""
