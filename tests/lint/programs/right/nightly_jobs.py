"""A worker that only has schedules: it purges, reports and renews certificates, until it is told to stop."""

import os
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

from dbos import DBOS, DBOSConfig

stop = threading.Event()


@DBOS.step()
def purge(before: datetime) -> int:
    removed = 0
    for entry in os.scandir("/var/spool/shop"):
        if entry.stat().st_mtime < before.timestamp():
            os.unlink(entry.path)
            removed += 1
    return removed


@DBOS.step(timeout_seconds=None)
def disk_usage() -> dict[str, int]:
    usage = shutil.disk_usage("/")
    return {"total": usage.total, "free": usage.free}


@DBOS.step()
def mail(subject: str, text: str) -> None:
    message = EmailMessage()
    message["Subject"], message["To"] = subject, os.environ["OPERATORS"]
    message.set_content(text)
    with smtplib.SMTP(os.environ.get("SMTP_HOST", "localhost")) as server:
        server.send_message(message)


@DBOS.step(retries_allowed=True)
def renew(domain: str) -> str:
    done = subprocess.run(["certbot", "renew", "-d", domain], check=True, capture_output=True, text=True)
    return done.stdout


@DBOS.workflow()
def nightly(scheduled_at: datetime, context: Any) -> None:
    removed = purge(scheduled_at - timedelta(days=context["keep_days"]))
    free = disk_usage()
    share = free["free"] / free["total"]
    if share < 0.1 or removed > 10_000:
        mail("disk", f"{removed} files were removed, {share:.0%} is free")


@DBOS.workflow(max_recovery_attempts=5)
def certificates(scheduled_at: datetime, context: Any) -> list[str]:
    renewed = []
    for domain in context:
        try:
            renew(domain)
            renewed.append(domain)
        except Exception as error:
            DBOS.logger.exception("renewing %s failed", domain)
            mail(f"certificate of {domain}", f"{type(error).__name__}: {error}")
        DBOS.sleep(5)
    return renewed


@DBOS.scheduled("*/5 * * * *")
@DBOS.workflow()
def heartbeat(scheduled_at: datetime, actual: datetime) -> None:
    late = (actual - scheduled_at).total_seconds()
    DBOS.logger.info(f"alive, {late:.1f} s late")


def configuration() -> DBOSConfig:
    found: DBOSConfig = {
        "name": "nightly-jobs",
        "executor_id": socket.gethostname(),
        "application_version": subprocess.check_output(["git", "describe", "--always"], text=True).strip(),
    }
    if url := os.environ.get("DATABASE_URL"):
        found["system_database_url"] = url
    return found


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    DBOS(config=configuration())
    DBOS.launch()
    DBOS.apply_schedules(
        [
            {"schedule_name": "nightly", "workflow_fn": nightly, "schedule": "0 3 * * *", "context": {"keep_days": 7}},
            {"schedule_name": "tls", "workflow_fn": certificates, "schedule": "0 4 * * 1", "context": ["shop.example"]},
        ]
    )
    started = time.monotonic()
    stop.wait()
    print(f"stopping after {time.monotonic() - started:.0f} s", file=sys.stderr)
    DBOS.destroy(workflow_completion_timeout_sec=30)
    return 0


if __name__ == "__main__":
    sys.exit(main())
