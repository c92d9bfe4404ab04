import sys

from django.apps import AppConfig
from django.conf import settings


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self) -> None:
        if "migrate" in sys.argv or "makemigrations" in sys.argv:
            return
        from dbos import DBOS

        from . import tasks

        DBOS(config=settings.DBOS_CONFIG)
        DBOS.launch()
        DBOS.register_queue(tasks.QUEUE, worker_concurrency=5, limiter={"limit": 100, "period": 60})
