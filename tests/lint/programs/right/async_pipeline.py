"""Transcode videos with coroutines: children on a queue, steps at once in a fixed order, results as they come."""

import asyncio
import os
import random
import sys
import tempfile
from functools import partial
from pathlib import Path

import boto3

from dbos import DBOS, SetEnqueueOptions, SetWorkflowTimeout, WorkflowHandleAsync
from dbos.error import DBOSQueueDeduplicatedError

BUCKET = os.environ.get("BUCKET", "videos")
SIZES = (360, 720, 1080)
semaphore = asyncio.Semaphore(4)


def key_of(video: str, size: int) -> str:
    return f"{Path(video).stem}/{size}.mp4"


@DBOS.step()
async def probe(video: str) -> dict[str, int]:
    process = await asyncio.create_subprocess_exec("ffprobe", video, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return {"seconds": len(output), "height": 1080}


@DBOS.step(retries_allowed=True, max_attempts=2)
async def transcode(video: str, size: int) -> str:
    async with semaphore:
        with tempfile.TemporaryDirectory() as directory:
            target = Path(directory) / f"{size}.mp4"
            process = await asyncio.create_subprocess_exec(
                "ffmpeg", "-i", video, "-vf", f"scale=-1:{size}", str(target)
            )
            if await process.wait():
                raise RuntimeError(f"ffmpeg failed for {video}")
            await asyncio.to_thread(upload, target, key_of(video, size))
    return key_of(video, size)


def upload(path: Path, key: str) -> None:
    boto3.client("s3").upload_file(str(path), BUCKET, key)


@DBOS.step()
async def jitter() -> float:
    return random.uniform(0.1, 1.0)


@DBOS.workflow()
async def one_size(video: str, size: int) -> str:
    await DBOS.sleep_async(await jitter())
    return await transcode(video, size)


@DBOS.workflow()
async def publish(video: str) -> list[str]:
    found = await probe(video)
    sizes = [size for size in SIZES if size <= found["height"]]
    handles: list[WorkflowHandleAsync[str]] = [
        await DBOS.enqueue_workflow_async("transcode", one_size, video, size) for size in sizes
    ]
    results = await asyncio.gather(*[handle.get_result() for handle in handles], return_exceptions=True)
    done = [one for one in results if isinstance(one, str)]
    await DBOS.set_event_async("done", len(done))
    thumbnail = asyncio.create_task(DBOS.run_step_async({"name": "thumbnail"}, partial(make_thumbnail, video)))
    poster = asyncio.create_task(DBOS.run_step_async({"name": "poster"}, make_poster, video))
    await DBOS.asyncio_wait([thumbnail, poster])
    await asyncio.sleep(0)
    return [*done, thumbnail.result(), poster.result()]


async def make_thumbnail(video: str) -> str:
    await asyncio.sleep(0.01)
    return f"{video}.jpg"


async def make_poster(video: str) -> str:
    path = Path(video).with_suffix(".png")
    path.touch()
    return str(path)


async def request(video: str) -> str:
    try:
        with SetEnqueueOptions(deduplication_id=video, priority=10), SetWorkflowTimeout(3600):
            handle = await DBOS.enqueue_workflow_async("publish", publish, video)
    except DBOSQueueDeduplicatedError as error:
        return f"{video} is under way: {error}"
    return handle.workflow_id


async def main(videos: list[str]) -> None:
    DBOS(config={"name": "videos", "enable_otlp": bool(os.environ.get("OTLP"))})
    DBOS.launch()
    await DBOS.register_queue_async("publish")
    await DBOS.register_queue_async("transcode", worker_concurrency=2, global_concurrency=20)
    ids = await asyncio.gather(*map(request, videos))
    for workflow_id in ids:
        print(await DBOS.get_result_async(workflow_id))
    await asyncio.sleep(1)
    DBOS.destroy()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
