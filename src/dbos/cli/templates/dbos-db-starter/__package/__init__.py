"""A server that greets: `main` is the program, `schema` its table."""
