from decimal import ROUND_HALF_UP, Decimal

TAX = Decimal("0.19")


def round_cents(amount: Decimal) -> Decimal:
    return Decimal(amount).quantize(Decimal("0.01"), ROUND_HALF_UP)


def with_tax(net: Decimal) -> Decimal:
    return round_cents(net * (1 + TAX))
