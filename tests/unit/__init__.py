"""Unit tests of the private bottom layers."""
