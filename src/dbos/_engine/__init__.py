"""Running users' code durably."""
