"""A TCP proxy between DBOS and Postgres that is slow, cuts replies, loses them, or lets nothing through.

One thread with an event loop of its own. Knows bytes and their direction, nothing of the protocol: what is cut is cut
anywhere, also in the middle of a message.
"""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import suppress

CHUNK = 65_536


class Proxy:
    """Forwards connections to a server; its attributes say what goes wrong, and may change at any time.

    `delay_sec`: each chunk takes up to so long, in either direction. `cut_replies`, `lose_replies`: the share of
    replies of which only a part arrives before the connection breaks, or nothing: what was asked has been done.
    `refuses`: new connections are closed at once.
    """

    def __init__(self, host: str, port: int, seed: int = 0) -> None:
        """Listen on a free port of the loopback address."""
        self.delay_sec = self.cut_replies = self.lose_replies = 0.0
        self.refuses = False
        self.broken = 0  # connections, by the proxy's own doing
        self.delayed = 0  # chunks
        self._server = (host, port)
        self._chance = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._opened = asyncio.Event()
        self._opened.set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listener = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port = int(self._listener.sockets[0].getsockname()[1])

    def silence(self) -> None:
        """Let nothing through from now on; connections stay open."""
        self._loop.call_soon_threadsafe(self._opened.clear)

    def resume(self) -> None:
        """Let everything through that was held back."""
        self._loop.call_soon_threadsafe(self._opened.set)

    def behave(self) -> None:
        """Let nothing go wrong any more."""
        self.delay_sec = self.cut_replies = self.lose_replies = 0.0
        self.refuses = False
        self.resume()

    def break_all(self) -> None:
        """Break every connection."""
        asyncio.run_coroutine_threadsafe(self._break_now(), self._loop).result(10)

    def close(self) -> None:
        """Break every connection and listen no longer."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _close(self) -> None:
        self._listener.close()
        self._break_all()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _break_now(self) -> None:
        self._break_all()

    def _break_all(self) -> None:
        for writer in self._writers:
            self.broken += 1
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            self.broken += 1
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._server)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, server_writer}
        self._writers.add(writer)
        for source, target, replies in ((reader, server_writer, False), (server_reader, writer, True)):
            pump = self._loop.create_task(self._pump(source, target, replies=replies))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)
            pump.add_done_callback(lambda _: self._hang_up(both))

    def _hang_up(self, writers: set[asyncio.StreamWriter]) -> None:
        for writer in writers:
            self._writers.discard(writer)
            writer.close()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, replies: bool) -> None:
        """Forward one direction until either end, or the chance, breaks the connection."""
        with suppress(OSError):
            while chunk := await source.read(CHUNK):
                await self._opened.wait()
                if self.delay_sec:
                    self.delayed += 1
                    await asyncio.sleep(self.delay_sec * self._chance.random())
                lost = replies and self._chance.random() < self.lose_replies
                cut = replies and self._chance.random() < self.cut_replies
                if not lost:
                    target.write(chunk[: self._chance.randrange(len(chunk))] if cut else chunk)
                    await target.drain()
                if lost or cut:
                    self.broken += 1
                    return
