"""A long job whose progress a browser watches: server-sent events from a workflow's stream.

    pip install fastapi uvicorn
    python examples/progress_stream.py      # then open http://localhost:8000

Reload the page, or restart the server in the middle: the stream is durable, and the browser reads it from where it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI, Header
from fastapi.responses import HTMLResponse, StreamingResponse

from dbos import DBOS, DBOSConfig

PAGE = """<!doctype html><title>Progress</title>
<button onclick="start()">Start</button> <progress id="bar" max="10" value="0"></progress>
<script>
async function start() {
  const {job} = await (await fetch("/jobs", {method: "POST"})).json();
  const source = new EventSource(`/jobs/${job}/progress`);
  source.onmessage = (message) => { bar.value = JSON.parse(message.data).done; };
  source.addEventListener("end", () => source.close());
}
</script>"""

app = FastAPI()
# Read here: a workflow reads no environment, which may differ where it is recovered.
PART_SEC = float(os.environ.get("PART_SEC", "0.5"))
config: DBOSConfig = {"name": "progress-stream"}
if url := os.environ.get("DBOS_SYSTEM_DATABASE_URL"):
    config["system_database_url"] = url
DBOS(fastapi=app, config=config)


@DBOS.step()
def crunch(part: int) -> int:
    """Do a tenth of the work."""
    return part + 1


@DBOS.workflow()
async def job() -> int:
    """Work, and write how far it is to a stream."""
    done = 0
    for part in range(10):
        done = crunch(part)
        await DBOS.write_stream_async("progress", {"done": done})
        await DBOS.sleep_async(PART_SEC)
    await DBOS.close_stream_async("progress")
    return done


@app.get("/")
async def page() -> HTMLResponse:
    """Show the page."""
    return HTMLResponse(PAGE)


@app.post("/jobs")
async def start() -> dict[str, str]:
    """Start a job."""
    return {"job": (await DBOS.start_workflow_async(job)).workflow_id}


@app.get("/jobs/{job_id}/progress")
async def progress(job_id: str, last_event_id: int = Header(default=-1)) -> StreamingResponse:
    """Send what the job writes as it writes it; a browser that comes back says what it has seen."""

    async def events() -> AsyncIterator[str]:
        number = -1
        async for value in DBOS.read_stream_async(job_id, "progress"):
            number += 1
            if number > last_event_id:
                yield f"id: {number}\ndata: {json.dumps(value)}\n\n"
        yield "event: end\ndata: {}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), log_level="warning")
