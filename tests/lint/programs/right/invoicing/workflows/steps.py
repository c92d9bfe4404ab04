"""Everything that touches the world."""

import hashlib
import logging
import time
from pathlib import Path

import jinja2
import requests
from tenacity import retry, stop_after_attempt

from dbos import DBOS

from ..settings import ARCHIVE, MAIL_API

environment = jinja2.Environment(loader=jinja2.FileSystemLoader("templates"))
log = logging.getLogger(__name__)
numbers: dict[str, int] = {}


@DBOS.step()
def next_number(month: str) -> str:
    global numbers
    numbers = {**numbers, month: numbers.get(month, 0) + 1}
    return f"{month}-{numbers[month]:05}"


@DBOS.step()
def render(number: str, customer: str, net: str, gross: str) -> str:
    started = time.perf_counter()
    text = environment.get_template("invoice.html").render(number=number, customer=customer, net=net, gross=gross)
    log.debug("rendered in %.3f s", time.perf_counter() - started)
    return text


@DBOS.step()
def archive(number: str, document: str) -> str:
    path = Path(ARCHIVE) / f"{number}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document)
    return hashlib.sha1(document.encode()).hexdigest()


@DBOS.step()
@retry(stop=stop_after_attempt(3))
def send_mail(customer: str, subject: str) -> int:
    key = hashlib.md5(f"{customer}/{subject}".encode()).hexdigest()
    return requests.post(MAIL_API, json={"to": customer, "subject": subject, "dedup": key}, timeout=5).status_code
