"""Words and values: no I/O, standard library only."""
