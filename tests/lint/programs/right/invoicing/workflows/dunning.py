from dbos import DBOS

from . import steps

DAYS = 24 * 3600
STAGES = ((14, "reminder"), (14, "second reminder"), (7, "last notice"))


def subject(stage: str, number: str) -> str:
    return f"{stage.capitalize()} for invoice {number}"


@DBOS.workflow()
def remind(number: str, customer: str) -> str:
    for days, stage in STAGES:
        if DBOS.recv("paid", timeout_seconds=days * DAYS) is not None:
            return "paid"
        steps.send_mail(customer, subject(stage, number))
    return "unpaid"
