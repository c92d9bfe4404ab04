from django.db import models
from django.utils import timezone


class Order(models.Model):
    item = models.CharField(max_length=100)
    state = models.CharField(max_length=20, default="new")
    created = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.item} ({self.state})"
