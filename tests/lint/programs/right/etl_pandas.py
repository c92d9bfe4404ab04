"""Load a day of CSV exports: one workflow fans out over the files, a queue bounds how many are read at once."""

import argparse
import os
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import sqlalchemy as sa

from dbos import DBOS, SetWorkflowID, SQLAlchemyDatasource

WAREHOUSE = os.environ.get("WAREHOUSE_URL", "sqlite:///warehouse.sqlite")
warehouse = SQLAlchemyDatasource.create(WAREHOUSE)
BATCH = 5_000


@dataclass
class Report:
    day: str
    files: int
    rows: int
    rejected: int

    @property
    def ratio(self) -> float:
        return self.rejected / self.rows if self.rows else 0.0


@DBOS.step()
def find_files(day: str) -> list[str]:
    return sorted(str(path) for path in Path("/data/exports").glob(f"{day}-*.csv"))


def clean(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.rename(columns=str.lower).dropna(subset=["id"])
    frame["amount"] = frame["amount"].astype(float).round(2)
    frame["loaded_at"] = pd.Timestamp.now(tz="UTC")
    return frame.drop_duplicates("id", keep="last")


@DBOS.step(retries_allowed=True, max_attempts=3)
def stage(path: str) -> dict[str, int | str]:
    frame = pd.read_csv(path)
    cleaned = clean(frame)
    target = Path(path).with_suffix(".parquet")
    cleaned.to_parquet(target)
    return {"target": str(target), "rows": len(frame), "rejected": len(frame) - len(cleaned)}


@warehouse.transaction()
def append(target: str, first: int) -> int:
    frame = pd.read_parquet(target).iloc[first : first + BATCH]
    statement = sa.text("insert into sales (id, amount) values (:id, :amount)")
    for row in frame.itertuples():
        warehouse.sql_session().execute(statement, {"id": row.id, "amount": row.amount})
    return len(frame)


@DBOS.workflow()
def load_file(path: str) -> dict[str, int | str]:
    staged = stage(path)
    first = 0
    while loaded := append(str(staged["target"]), first):
        first += loaded
        DBOS.set_event("progress", first)
    return staged


@DBOS.workflow()
def load_day(day: str) -> dict:
    files = find_files(day)
    handles = [DBOS.enqueue_workflow("files", load_file, path) for path in files]
    results = []
    for handle in handles:
        try:
            results.append(handle.get_result())
        except Exception as error:
            DBOS.logger.error(f"{handle.workflow_id} failed: {error!r}")
    report = Report(
        day=day,
        files=len(results),
        rows=sum(int(one["rows"]) for one in results),
        rejected=sum(int(one["rejected"]) for one in results),
    )
    if report.ratio > 0.2:
        alert(asdict(report))
    return asdict(report)


@DBOS.step()
def alert(report: dict) -> None:
    with open("/var/log/etl-alerts.log", "a") as log:
        print(report, file=log)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--day", default=str(date.today() - timedelta(days=1)))
    arguments = parser.parse_args()
    DBOS(config={"name": "etl", "system_database_url": os.environ.get("DBOS_SYSTEM_DATABASE_URL")})
    DBOS.launch()
    DBOS.register_queue("files", worker_concurrency=os.cpu_count() or 2)
    try:
        with SetWorkflowID(f"load-{arguments.day}"):
            print(load_day(arguments.day))
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    main()
