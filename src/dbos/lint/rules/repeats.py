"""What happens twice when a step runs twice: retries, and writes to databases."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..findings import Hit, rule
from ..program import STEP_RUNNERS, Body, Program
from ..values import Entries, entries, keyword, literal, named
from .workflows import within

TUNING = ("max_attempts", "interval_seconds", "backoff_rate", "should_retry")
# Calls that send, publish, pay: doing them twice is seen outside.
MAILS = ("smtplib.SMTP().send_message", "smtplib.SMTP().sendmail", "smtplib.SMTP_SSL().send_message",
         "smtplib.SMTP_SSL().sendmail", "twilio.rest.Client().messages.create",
         "boto3.client().send_email", "boto3.client().send_raw_email", "boto3.client().publish")  # fmt: skip
PAID = re.compile(r"^stripe\.(Charge|PaymentIntent|Refund|Transfer|Payout|InvoiceItem|Subscription)\.create(_async)?$")
POSTS = ("requests.post", "httpx.post", "requests.Session().post", "httpx.Client().post", "httpx.AsyncClient().post")
COSTLY = re.compile(r"/(charges?|payments?|refunds?|transfers?|payouts?|orders?|emails?|sms)/?(\?|$)")
INSERT = re.compile(r"^\s*insert\s+into\b", re.IGNORECASE)
GUARDED = re.compile(r"on\s+conflict|on\s+duplicate|where\s+not\s+exists|insert\s+or\s", re.IGNORECASE)
COUNT = re.compile(r"^\s*update\b.*\bset\s+(?:.*,)?\s*(\w+)\s*=\s*\1\s*[-+]", re.IGNORECASE | re.DOTALL)
# What makes connections to databases.
DATABASES = ("sqlalchemy.", "sqlmodel.", "psycopg.", "psycopg2.", "asyncpg.", "sqlite3.", "aiosqlite.", "pymysql.")
EXECUTES = ("execute", "executemany", "exec", "fetchval", "fetchrow")


@rule(
    "step-retries",
    "W",
    "Retries are enabled with `retries_allowed`, bounded, and of a body that may run twice.",
    why="""
A step is retried when `retries_allowed` is set, up to `max_attempts` times, and what a failed attempt did before it
failed is done again: give the other side an idempotency key. A loop of one's own in a step ends never and is seen by
nobody.""",
    incorrect="""
import stripe
from dbos import DBOS

@DBOS.step(retries_allowed=True)
def charge(cents: int) -> str:
    return stripe.PaymentIntent.create(amount=cents, currency="eur").id
""",
    correct="""
import stripe
from dbos import DBOS

@DBOS.step(retries_allowed=True, max_attempts=5)
def charge(cents: int, key: str) -> str:
    return stripe.PaymentIntent.create(amount=cents, currency="eur", idempotency_key=key).id
""",
)
def retries(program: Program) -> Iterator[Hit]:
    """Find options of retries without retries, endless loops in steps, and retried calls that act twice."""
    for body in program.reported():
        for _, given in _options(body):
            name = next((one for one in TUNING if one in given), None)
            if name and "retries_allowed" not in given:
                message = f"`{name}` does nothing without retries_allowed=True: the step is not retried"
                yield Hit(body.module, given[name][0], message)
    for body, start in program.step_code.items():
        for loop in body.nodes:
            if isinstance(loop, ast.While) and _is_endless(loop):
                where = within(body, start, "step")
                message = f"this loop in {where}, tries for ever: use retries_allowed and max_attempts"
                yield Hit(body.module, loop.test, message)
    for body, start in program.reached(_retried(program)).items():
        if body.kind != "transaction" and "idempot" not in _source(body):
            for call, what in _acts_twice(program, body):
                message = f"{what} in {within(body, start, 'step')}, which is retried: give it an idempotency key"
                yield Hit(body.module, call, message)


def _options(body: Body) -> Iterator[tuple[ast.expr, Entries]]:
    """Return the options of steps: of the decorators of a function, and of what it runs as steps."""
    for one, meaning in body.decorators:
        if isinstance(one, ast.Call) and meaning == "dbos.DBOS.step":
            yield one, named(one) or {}
    for call, meaning in body.calls:
        found = entries(call.args[0]) if meaning in STEP_RUNNERS and call.args else None
        if found is not None:
            yield call, found


def _retried(program: Program) -> Iterator[Body]:
    for body in program.all_bodies():
        for place, given in _options(body):
            if "retries_allowed" in given and literal(given["retries_allowed"][1]) is True:
                # What is run stands behind its options; a decorator is of its function.
                run = place.args[1] if isinstance(place, ast.Call) and len(place.args) > 1 else None
                target = program.body(body.scope.meaning(run)) if run is not None else body
                if target and target.kind in ("plain", "step"):
                    yield target


def _source(body: Body) -> str:
    node = body.node
    lines = body.module.lines
    if not isinstance(node, ast.Module):
        lines = lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines).lower()


def _is_endless(loop: ast.While) -> bool:
    """Whether a loop without a condition catches an error, waits and goes round again, whatever happens."""
    if not (isinstance(loop.test, ast.Constant) and loop.test.value):
        return False
    for part in loop.body:
        for handler in part.handlers if isinstance(part, ast.Try) else ():
            inside = [one for statement in handler.body for one in ast.walk(statement)]
            leaves = any(isinstance(one, (ast.Raise, ast.Return, ast.Break)) for one in inside)
            waits = any(_is_sleep(one) for one in inside)
            if waits and not leaves and not _has_bound(loop):
                return True
    return False


def _is_sleep(node: ast.AST) -> bool:
    target = node.func if isinstance(node, ast.Call) else None
    return getattr(target, "attr", getattr(target, "id", "")) == "sleep"


def _has_bound(loop: ast.While) -> bool:
    """Whether a condition of the loop raises or breaks."""
    return any(
        isinstance(one, ast.If) and any(isinstance(leaf, (ast.Raise, ast.Break)) for leaf in ast.walk(one))
        for one in ast.walk(loop)
    )


def _acts_twice(program: Program, body: Body) -> Iterator[tuple[ast.Call, str]]:
    for call, meaning in body.calls:
        if any(one.arg is None or "idempot" in one.arg for one in call.keywords):
            continue
        if meaning in MAILS or PAID.match(meaning):
            yield call, f"`{meaning.replace('()', '')}`"
        elif meaning in POSTS and call.args and COSTLY.search(_text(call.args[0])):
            yield call, f"`{meaning.replace('()', '')}` of `{_text(call.args[0])}`"
        elif meaning == "open" and str(literal(_mode(call))).startswith("a") and not _is_log(call):
            yield call, "appending to a file"
    for call in writes(program, body):
        yield call, "a write that is not idempotent"


def _mode(call: ast.Call) -> ast.expr | None:
    return call.args[1] if len(call.args) > 1 else keyword(call, "mode")


def _is_log(call: ast.Call) -> bool:
    return bool(call.args) and "log" in ast.unparse(call.args[0]).lower()


def _text(node: ast.AST) -> str:
    """Return the literal parts of a string."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(one) if isinstance(one, ast.Constant) else "…" for one in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def writes(program: Program, body: Body) -> Iterator[ast.Call]:
    """Return calls that run literal SQL on a known kind of connection, which would take effect once more."""
    for call, meaning in body.calls:
        if not meaning.startswith(DATABASES) or meaning.rpartition(".")[2] not in EXECUTES or not call.args:
            continue
        given = program.value(body.scope, call.args[0])
        if isinstance(given, ast.Call) and given.args:  # as of `text(...)`
            given = program.value(body.scope, given.args[0])
        sql = _text(given) if given else ""
        if COUNT.search(sql) or (INSERT.search(sql) and not GUARDED.search(sql)):
            yield call


@rule(
    "step-transactions",
    "W",
    "New code does its database work in a datasource's transaction.",
    why="""
A step that has committed and is interrupted before it is recorded runs again, and its insert happens twice. A
datasource's transaction commits the record of the step with the business data, and there are datasources for
coroutines. `@DBOS.transaction` is for old code: it needs an application database, and blocks its thread.""",
    incorrect="""
from dbos import DBOS

@DBOS.transaction()
def insert() -> None: ...
""",
    correct="""
from dbos import DBOS, SQLAlchemyDatasource

def make(datasource: SQLAlchemyDatasource) -> None:
    @datasource.transaction()
    def insert() -> None: ...
""",
)
def transactions(program: Program) -> Iterator[Hit]:
    """Find the legacy decorator, and writes of steps that would happen twice."""
    for body in program.reported():
        for one, meaning in body.decorators:
            if meaning == "dbos.DBOS.transaction":
                yield Hit(body.module, one, "`@DBOS.transaction` is for old code: use a datasource's transaction")
    for body, start in program.step_code.items():
        for call in writes(program, body) if start.kind != "transaction" else ():
            where = within(body, start, "step")
            message = f"a write in {where}, may happen twice after a crash: use a datasource's transaction"
            yield Hit(body.module, call, message)
