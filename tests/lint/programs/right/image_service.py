"""Thumbnails: threads inside a step, plain helpers shared by steps and workflows, results cached by content."""

import concurrent.futures
import functools
import hashlib
import io
import itertools
import os
import pathlib
import queue
import threading
import time
import zipfile

import requests
from PIL import Image

import dbos
from dbos import error as dbos_error

CACHE = pathlib.Path(os.environ.get("CACHE", "/tmp/thumbnails"))
SIZES = [(64, 64), (256, 256), (1024, 1024)]
progress: "queue.Queue[str]" = queue.Queue()
pool = concurrent.futures.ThreadPoolExecutor(8)


@functools.lru_cache(maxsize=1024)
def name_of(url: str, size: tuple[int, int]) -> str:
    return f"{hashlib.sha256(url.encode()).hexdigest()}-{size[0]}x{size[1]}.webp"


def fetch(url: str) -> bytes:
    answer = requests.get(url, timeout=30)
    answer.raise_for_status()
    return answer.content


def resize(data: bytes, url: str, size: tuple[int, int]) -> str:
    target = CACHE / name_of(url, size)
    if not target.exists():
        image = Image.open(io.BytesIO(data))
        image.thumbnail(size)
        image.save(target)
    return str(target)


@dbos.DBOS.step(retries_allowed=True)
def thumbnails(url: str) -> list[str]:
    data = fetch(url)
    return list(pool.map(lambda size: resize(data, url, size), SIZES))


@dbos.DBOS.step()
def pack(paths: list[str]) -> str:
    target = CACHE / f"{time.time_ns()}.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for path in paths:
            archive.write(path)
    progress.put(str(target))
    return str(target)


@dbos.DBOS.workflow(name="album")
def album(urls: list[str]) -> str:
    unique = list(dict.fromkeys(urls))
    handles = [dbos.DBOS.enqueue_workflow("images", single, url) for url in unique]
    made = [handle.get_result() for handle in handles]
    width = max((len(name_of(url, SIZES[0])) for url in unique), default=0)
    dbos.DBOS.logger.info("longest name: %d", width)
    return pack(list(itertools.chain.from_iterable(made)))


@dbos.DBOS.workflow(name="single")
def single(url: str) -> list[str]:
    try:
        return thumbnails(url)
    except dbos_error.DBOSMaxStepRetriesExceeded as failure:
        dbos.DBOS.logger.warning("%s: %s", url, failure)
        return []


def watch(stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            print("packed", progress.get(timeout=1))
        except queue.Empty:
            continue


def main() -> None:
    CACHE.mkdir(exist_ok=True)
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(stop,), daemon=True)
    watcher.start()
    dbos.DBOS(config={"name": "images"})
    dbos.DBOS.launch()
    dbos.DBOS.register_queue("images", worker_concurrency=4)
    with dbos.SetWorkflowID(f"album-{int(time.time())}"):
        handle = dbos.DBOS.start_workflow(album, ["https://example.com/a.png", "https://example.com/b.png"])
    print(handle.get_result())
    stop.set()
    dbos.DBOS.destroy()


if __name__ == "__main__":
    main()
