from .billing import bill_all, bill_customer
from .dunning import remind

__all__ = ["bill_all", "bill_customer", "remind"]
