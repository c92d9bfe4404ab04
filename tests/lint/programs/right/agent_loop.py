"""An agent of coroutines: the model and its tools are steps, the calls of one turn run at once, tokens are streamed."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from openai import AsyncOpenAI

from dbos import DBOS, SetWorkflowID, SetWorkflowTimeout

Message = dict[str, Any]
Tool = Callable[..., Awaitable[str]]
TOOLS: dict[str, Tool] = {}
MODEL = os.environ.get("MODEL", "small")
MAX_TURNS = 12


def tool(function: Tool) -> Tool:
    TOOLS[function.__name__] = function
    return function


@tool
async def search(query: str) -> str:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get("https://search.example", params={"q": query}) as answer:
        return await answer.text()


@tool
async def add(left: float, right: float) -> str:
    return str(left + right)


def is_transient(error: BaseException) -> bool:
    return "rate limit" in str(error).lower() or isinstance(error, (ConnectionError, asyncio.TimeoutError))


@DBOS.step(retries_allowed=True, max_attempts=6, interval_seconds=2, backoff_rate=2, should_retry=is_transient)
async def complete(messages: list[Message]) -> Message:
    client = AsyncOpenAI()
    chunks: list[str] = []
    stream = await client.chat.completions.create(model=MODEL, messages=messages, stream=True)
    async for chunk in stream:
        text = chunk.choices[0].delta.content or ""
        chunks.append(text)
        await DBOS.write_stream_async("tokens", text)
    return json.loads("".join(chunks))


async def use(call: Message) -> Message:
    function = TOOLS[call["name"]]
    result = await DBOS.run_step_async({"name": f"tool:{call['name']}"}, function, **call["arguments"])
    return {"role": "tool", "id": call["id"], "content": result}


def trim(messages: list[Message], budget: int = 20_000) -> list[Message]:
    kept: list[Message] = []
    for message in reversed(messages):
        budget -= len(str(message["content"]))
        if budget < 0:
            break
        kept.insert(0, message)
    return kept


@DBOS.workflow()
async def converse(question: str) -> str:
    messages: list[Message] = [{"role": "user", "content": question}]
    for turn in range(MAX_TURNS):
        await DBOS.set_event_async("turn", turn)
        answer = await complete(trim(messages))
        messages.append(answer)
        calls = answer.get("tool_calls") or []
        if not calls:
            await DBOS.close_stream_async("tokens")
            return str(answer["content"])
        if any(TOOLS.get(call["name"]) is None for call in calls):
            messages.append({"role": "user", "content": "There is no such tool."})
            continue
        results = await asyncio.gather(*(use(call) for call in calls), return_exceptions=True)
        for call, result in zip(calls, results, strict=True):
            if isinstance(result, BaseException):
                result = {"role": "tool", "id": call["id"], "content": f"error: {result}"}
            messages.append(result)
        if answer.get("needs_approval"):
            verdict = await DBOS.recv_async("approval", timeout_seconds=24 * 3600)
            messages.append({"role": "user", "content": verdict or "no answer"})
    return "I give up."


async def show(workflow_id: str) -> None:
    async for token in DBOS.read_stream_async(workflow_id, "tokens"):
        print(token, end="", flush=True)


async def main() -> None:
    DBOS(config={"name": "agent"})
    DBOS.launch()
    with SetWorkflowID("question-1"), SetWorkflowTimeout(600):
        handle = await DBOS.start_workflow_async(converse, "How far is the moon?")
    await asyncio.gather(show(handle.workflow_id), handle.get_result())
    DBOS.destroy()


if __name__ == "__main__":
    asyncio.run(main())
