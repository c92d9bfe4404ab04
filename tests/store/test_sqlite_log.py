"""The write-ahead log of a SQLite database: its file grows in pieces, and stays a log that anybody can read."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from dbos._store.sqlite import LOG_PIECE_BYTES, SqliteDatabase


def test_the_log_grows_in_pieces_and_what_follows_its_frames_is_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite"
    database = SqliteDatabase(str(path))
    database.write(lambda writer: writer.execute("create table numbers (n integer)"))
    sizes = set()
    for number in range(50):
        database.write(lambda writer, n=number: writer.execute("insert into numbers values (?)", (n,)))
        sizes.add(os.stat(f"{path}-wal").st_size)
    assert len(sizes) == 1
    assert sizes.pop() >= LOG_PIECE_BYTES
    # What a crash leaves: the file and its log, without the process that wrote them.
    copy = tmp_path / "copy.sqlite"
    for end in ("", "-wal"):
        Path(f"{copy}{end}").write_bytes(Path(f"{path}{end}").read_bytes())
    database.close()
    with sqlite3.connect(copy) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert connection.execute("select count(*), sum(n) from numbers").fetchone() == (50, 1225)
    connection.close()
