"""The database: tables, SQL, journal, signals."""
