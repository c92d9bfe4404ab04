"""The library's version: API level 3.4.0, independent implementation."""

from __future__ import annotations

VERSION = "3.4.0+indie"
