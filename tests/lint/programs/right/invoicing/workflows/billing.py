from decimal import Decimal

from dbos import DBOS as D
from dbos import SetEnqueueOptions

from .. import storage
from ..money import round_cents, with_tax
from ..settings import BILLING_QUEUE
from . import steps
from .dunning import remind


@D.workflow()
def bill_customer(customer: str, month: str) -> dict[str, str]:
    usage = storage.usage_of(customer, month)
    net = round_cents(sum((Decimal(line["price"]) for line in usage), Decimal(0)))
    number = steps.next_number(month)
    document = steps.render(number, customer, str(net), str(with_tax(net)))
    steps.archive(number, document)
    storage.save_invoice(number, customer, str(with_tax(net)))
    D.start_workflow(remind, number, customer)
    return {"number": number, "total": str(with_tax(net))}


@D.workflow()
def bill_all(month: str) -> int:
    total = 0
    for customer in storage.customers():
        with SetEnqueueOptions(queue_partition_key=customer):
            D.enqueue_workflow(BILLING_QUEUE, bill_customer, customer, month)
        total += 1
    return total
