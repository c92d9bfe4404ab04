"""The table of orders as a mapped class: importable by name, so that its instances can be pickled."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Integer, Text
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Mapped classes."""


class Order(Base):
    """An order."""

    __tablename__ = "orders"
    id: Any = Column(Integer, primary_key=True)
    item: Any = Column(Text, nullable=False)
