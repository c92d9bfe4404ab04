"""Random programs: workflows of steps, failures, children, sleeps, messages and events, and what they must return.

A program is a list of operations, each a word and what it works on; a child's is a program. It travels as the argument
of the one workflow that carries programs out, so that what a crash interrupts is recovered like any user's.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from face import Face

from dbos import DBOS

Program = list[tuple[str, Any]]
PLAIN = ("step", "failing", "send", "event")
IDLE = ("sleep", "receive")
NESTED = ("call", "start")


def expected(program: Program) -> list[Any]:
    """Return what a program must come to."""
    results: list[Any] = []
    started: list[Any] = []
    mailbox: list[int] = []
    for word, argument in program:
        if word == "send":
            mailbox.append(argument)
        elif word == "receive":
            results.append(mailbox.pop(0) if mailbox else None)
        elif word == "start":
            started.append(expected(argument))
        elif word == "call":
            results.append(expected(argument))
        elif word != "sleep":
            results.append(argument)
    return results + started


def random_program(chance: random.Random, depth: int = 2) -> Program:
    """Return a program of a few operations."""
    words = (*PLAIN, *IDLE, *(NESTED if depth else ()))
    program: Program = []
    for word in chance.choices(words, k=chance.randint(1, 4)):
        program.append((word, random_program(chance, depth - 1) if word in NESTED else chance.randint(0, 9)))
    return program


class Interpreter:
    """The workflow that carries out programs, in one colour."""

    def __init__(self, face: Face, note: Callable[[str], None] | None = None) -> None:
        """Register the workflow; launch afterwards. `note` is told of every run of a step's body."""
        self.face = face
        self.dbos = face.dbos

        @face.step(name="act")
        async def act(number: int, fails: bool = False) -> int:
            if note is not None:
                note(f"{DBOS.workflow_id}/{DBOS.step_id}")
            if fails:
                raise ValueError(number)
            return number

        @face.workflow(name="interpret")
        async def interpret(program: Program) -> list[Any]:
            return await self._carry_out(program)

        self.act = act
        self.workflow = interpret

    async def _carry_out(self, program: Program) -> list[Any]:
        results: list[Any] = []
        started: list[Any] = []
        for word, argument in program:
            if word == "send":
                await self.dbos.send(DBOS.workflow_id, argument, "topic")
            elif word == "start":
                started.append(await self.face.start(self.workflow, argument))
            elif word == "sleep":
                await self.dbos.sleep(0.001)
            else:
                results.append(await self._result(word, argument))
        return results + [await handle.get_result() for handle in started]

    async def _result(self, word: str, argument: Any) -> Any:
        if word == "step":
            return await self.act(argument)
        if word == "failing":
            try:
                return await self.act(argument, fails=True)
            except ValueError as error:
                return int(str(error))
        if word == "event":
            await self.dbos.set_event("key", argument)
            return await self.dbos.get_event(DBOS.workflow_id, "key", 0)
        if word == "receive":
            return await self.dbos.recv("topic", timeout_seconds=0)
        return await self.workflow(argument)
