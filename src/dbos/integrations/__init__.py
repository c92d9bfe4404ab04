"""Optional packages, each imported only where it is used."""
