"""The durable part of the shop; views start it and never wait for it."""

from datetime import timedelta

import requests
from django.core.mail import send_mail
from django.db import transaction
from django.utils import timezone

from dbos import DBOS

from .models import Order

QUEUE = "orders"


@DBOS.step()
def set_state(number: int, state: str) -> bool:
    with transaction.atomic():
        return Order.objects.filter(pk=number).exclude(state=state).update(state=state) > 0


@DBOS.step(retries_allowed=True, max_attempts=5, interval_seconds=2.0)
def ask_stock(item: str) -> int:
    answer = requests.get("https://stock.example/items", params={"item": item}, timeout=10)
    answer.raise_for_status()
    return int(answer.json()["count"])


@DBOS.step()
def load(number: int) -> dict[str, str]:
    order = Order.objects.get(pk=number)
    return {"item": order.item, "state": order.state}


@DBOS.step()
def notify(number: int, text: str) -> None:
    send_mail(f"Order {number}", text, "shop@example.com", ["customer@example.com"])


@DBOS.step()
def stale_orders(days: int) -> list[int]:
    limit = timezone.now() - timedelta(days=days)
    return list(Order.objects.filter(created__lt=limit, state="new").values_list("pk", flat=True))


@DBOS.workflow()
def fulfil(number: int) -> str:
    order = load(number)
    while ask_stock(order["item"]) == 0:
        set_state(number, "waiting")
        if DBOS.recv("cancel", timeout_seconds=3600):
            set_state(number, "cancelled")
            return "cancelled"
    if set_state(number, "shipped"):
        notify(number, f"{order['item']} is on its way")
    return "shipped"


@DBOS.workflow()
def cleanup(days: int = 30) -> int:
    numbers = stale_orders(days)
    for number in numbers:
        set_state(number, "expired")
    return len(numbers)
