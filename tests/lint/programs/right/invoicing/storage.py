from sqlalchemy import text

from dbos import SQLAlchemyDatasource

from .settings import config

datasource = SQLAlchemyDatasource.create(config.get("system_database_url") or "sqlite:///invoicing.sqlite")


@datasource.transaction()
def usage_of(customer: str, month: str) -> list[dict[str, str]]:
    rows = datasource.sql_session().execute(
        text("select what, price from usage where customer = :customer and month = :month order by id"),
        {"customer": customer, "month": month},
    )
    return [dict(row) for row in rows.mappings()]


@datasource.transaction()
def customers() -> list[str]:
    return [row[0] for row in datasource.sql_session().execute(text("select name from customers order by name"))]


@datasource.transaction()
def save_invoice(number: str, customer: str, total: str) -> None:
    datasource.sql_session().execute(
        text("insert into invoices (number, customer, total) values (:number, :customer, :total)"),
        {"number": number, "customer": customer, "total": total},
    )
