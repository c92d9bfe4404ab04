"""Invoices: a package of several modules, launched by its `main`."""

from .workflows import bill_all, bill_customer

__all__ = ["bill_all", "bill_customer"]
