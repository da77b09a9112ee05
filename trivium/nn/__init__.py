"""Models from scratch: one transformer block with named parts, Hugging Face layout in and out."""
