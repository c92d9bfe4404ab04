import os
from datetime import datetime

from dbos import DBOSConfig

ARCHIVE = os.environ.get("ARCHIVE", "/var/lib/invoices")
MAIL_API = os.environ.get("MAIL_API", "https://mail.example/v1/send")
BILLING_QUEUE = "billing"
STARTED = datetime.now()

config: DBOSConfig = {"name": "invoicing", "system_database_url": os.environ.get("DATABASE_URL")}
if version := os.environ.get("VERSION"):
    config["application_version"] = version
