"""What a run or a comparison looks like: terminal, JSON, CSV, Markdown, JUnit, one HTML page."""
