"""One module a family of formats, each turning a file's bytes into text."""
