"""What a workflow's code may not do: be non-deterministic, wait undurably, run in a thread, change outer names."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..findings import Hit, rule
from ..program import Body, Program
from ..values import keyword

# Calls whose value differs from run to run, or that reach outside; a name that ends in a dot is a module or class.
IMPURE = (
    "random.", "secrets.", "os.urandom", "os.getenv", "os.environ.", "os.getpid", "uuid.uuid1", "uuid.uuid4",
    "uuid.uuid6", "uuid.uuid7", "socket.gethostname", "platform.node", "time.process_time",
    "numpy.random.", "time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime", "time.monotonic",
    "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns",
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
    "requests.get", "requests.post", "requests.put", "requests.patch", "requests.delete", "requests.head",
    "requests.options", "requests.request", "requests.Session",
    "httpx.get", "httpx.post", "httpx.put", "httpx.patch", "httpx.delete", "httpx.head", "httpx.options",
    "httpx.request", "httpx.stream", "httpx.Client", "httpx.AsyncClient",
    "aiohttp.ClientSession", "aiohttp.request", "urllib.request.urlopen", "urllib.request.urlretrieve",
    "http.client.HTTPConnection", "http.client.HTTPSConnection", "socket.socket", "socket.create_connection",
    "smtplib.SMTP", "smtplib.SMTP_SSL", "ftplib.FTP", "boto3.client", "boto3.resource",
    "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell", "glob.glob", "glob.iglob", "os.stat",
    "os.path.exists", "os.path.isfile", "os.path.isdir", "os.path.getsize", "os.path.getmtime",
    "subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.Popen",
    "os.system", "os.popen", "os.remove", "os.unlink", "os.rename", "os.replace", "os.mkdir", "os.makedirs", "os.rmdir",
    "os.listdir", "os.scandir", "os.walk", "shutil.copy", "shutil.copyfile", "shutil.copytree", "shutil.move",
    "shutil.rmtree", "open", "input", "io.open", "tempfile.mkdtemp", "tempfile.mkstemp", "tempfile.NamedTemporaryFile",
    "tempfile.TemporaryDirectory", "pathlib.Path.cwd", "pathlib.Path.home",
    "sqlite3.connect", "psycopg.connect", "psycopg2.connect", "psycopg.AsyncConnection.connect", "asyncpg.connect",
    "asyncpg.create_pool", "pymysql.connect", "sqlalchemy.create_engine", "redis.Redis", "pymongo.MongoClient",
)  # fmt: skip
# What clients and connections do when they are used, whoever made them.
HTTP = ("get", "post", "put", "patch", "delete", "head", "options", "request", "send", "stream")
SQL = ("execute", "executemany", "executescript", "exec", "cursor", "begin", "connect", "commit", "fetch", "fetchrow")
ASKED = ("create", "parse", "stream")
USES = {
    "requests.Session()": HTTP, "httpx.Client()": HTTP, "httpx.AsyncClient()": HTTP, "aiohttp.ClientSession()": HTTP,
    "sqlite3.connect()": SQL, "psycopg.connect()": SQL, "psycopg2.connect()": SQL, "asyncpg.connect()": SQL,
    "sqlalchemy.create_engine()": SQL, "sqlalchemy.ext.asyncio.create_async_engine()": SQL,
    "openai.OpenAI()": ASKED, "openai.AsyncOpenAI()": ASKED, "anthropic.Anthropic()": ASKED,
    "anthropic.AsyncAnthropic()": ASKED,
}  # fmt: skip
# Generators of random numbers, which are deterministic with a seed.
SEEDED = ("random.Random", "numpy.random.default_rng", "numpy.random.RandomState", "numpy.random.Generator")
PATH_METHODS = {
    "read_text", "read_bytes", "write_text", "write_bytes", "open", "unlink", "mkdir", "rmdir", "exists", "is_file",
    "is_dir", "iterdir", "glob", "rglob", "stat", "touch", "rename", "replace",
}  # fmt: skip


def is_impure(meaning: str) -> bool:
    """Whether calling it gives another value in another run."""
    if meaning.startswith(tuple(f"{one}()" for one in SEEDED)):
        return False  # judged by its seed, where it is made
    head, _, method = meaning.rpartition(".")
    if head == "pathlib.Path()":
        return method in PATH_METHODS
    if "()." in meaning:
        made = meaning.partition("().")[0] + "()"
        return method in USES.get(made, ()) or made.startswith(("boto3.client", "redis.Redis"))
    return any(meaning == one or (one.endswith(".") and meaning.startswith(one)) for one in IMPURE)


def within(body: Body, start: Body, plain: str = "workflow") -> str:
    """Say in which workflow or step a piece of code runs; `plain` is what an undecorated start was made."""
    kind = plain if start.kind == "plain" else start.kind
    if body is start:
        return f"{kind} `{start.name}`"
    return f"`{body.name}`, which {kind} `{start.name}` calls"


@rule(
    "workflow-determinism",
    "E",
    "A workflow body makes no random, clock, environment, network, file or database access directly.",
    why="""
A workflow that is recovered runs again from its beginning, and takes the results of its steps from the database. Its
code must then take the same path. What differs from run to run belongs in a step, whose result is recorded.""",
    incorrect="""
import random
from dbos import DBOS

@DBOS.workflow()
def draw() -> int:
    return random.randint(1, 6)
""",
    correct="""
import random
from dbos import DBOS

@DBOS.step()
def roll() -> int:
    return random.randint(1, 6)

@DBOS.workflow()
def draw() -> int:
    return roll()
""",
)
def determinism(program: Program) -> Iterator[Hit]:
    """Find calls and reads whose value differs from run to run."""
    for body, start in program.workflow_code.items():
        where = within(body, start)
        for call, meaning in body.calls:
            seeded = meaning in SEEDED and (call.args or call.keywords)
            if is_impure(meaning) and not seeded and program.body(meaning) is None:
                name = meaning.replace("()", "")
                yield Hit(body.module, call, f"`{name}` in {where}, is not deterministic: call it in a step")
        for node in body.nodes:
            if isinstance(node, ast.Subscript) and body.scope.meaning(node.value) == "os.environ":
                message = f"`os.environ` in {where}, may differ in another process: read it in a step"
                yield Hit(body.module, node, message)


# What runs its first argument in a thread; of pools, the ends of the names of their methods.
THREADED = {"asyncio.to_thread", "anyio.to_thread.run_sync", "starlette.concurrency.run_in_threadpool"}
POOLED = ("Executor().submit", "Executor().map", "Pool().apply_async", "Pool().map", "BackgroundTasks().add_task")


def _threaded(body: Body, call: ast.Call, meaning: str) -> Iterator[ast.expr]:
    """Return what a call runs in a thread or a pool."""
    if meaning in ("threading.Thread", "threading.Timer", "multiprocessing.Process"):
        given = keyword(call, "target") or keyword(call, "function")
        yield from [given] if given else call.args[1:2]
    elif meaning.endswith(".run_in_executor"):
        yield from call.args[1:2]
    elif meaning in THREADED or meaning.endswith(POOLED):
        yield from call.args[:1]


@rule(
    "workflow-background",
    "E",
    "Run a workflow in the background with `DBOS.start_workflow`, never with threads or executors.",
    why="""
A workflow that a thread was to run is lost with the process before the thread gets to it, has no handle, and in a
workflow gets an id that depends on the scheduling of threads. `DBOS.start_workflow` records it before it returns.""",
    incorrect="""
import threading
from dbos import DBOS

@DBOS.workflow()
def report() -> None: ...

threading.Thread(target=report).start()
""",
    correct="""
from dbos import DBOS

@DBOS.workflow()
def report() -> None: ...

handle = DBOS.start_workflow(report)
""",
)
def background(program: Program) -> Iterator[Hit]:
    """Find workflows that are the target of a thread, a pool or an executor."""
    for body in program.reported():
        for call, meaning in body.calls:
            for target in _threaded(body, call, meaning):
                found = program.body(body.scope.meaning(target))
                if found and found.kind == "workflow":
                    message = (
                        f"workflow `{found.name}` is run by `{meaning.replace('()', '')}`: use DBOS.start_workflow"
                    )
                    yield Hit(body.module, target, message)


@rule(
    "workflow-constraints",
    "E",
    "A workflow changes no globals and no variables of outer functions.",
    why="""
What a workflow leaves in memory is gone in the process that recovers it, and is changed twice when it runs again.
Return values, and keep state in step results, events or a database.""",
    incorrect="""
from dbos import DBOS

count = 0

@DBOS.workflow()
def work() -> None:
    global count
    count += 1
""",
    correct="""
from dbos import DBOS

@DBOS.workflow()
def work(count: int) -> int:
    return count + 1
""",
)
def constraints(program: Program) -> Iterator[Hit]:
    """Find assignments to names that are declared `global` or `nonlocal`."""
    for body, start in program.workflow_code.items():
        for node in body.nodes:
            if (
                not isinstance(node, ast.Name)
                or isinstance(node.ctx, ast.Load)
                or node.id not in body.scope.outer_names
            ):
                continue
            if not _is_made_once(body, node):
                message = f"outer variable `{node.id}` is changed in {within(body, start)}: return the value instead"
                yield Hit(body.module, node, message)


def _is_made_once(body: Body, name: ast.Name) -> bool:
    """Whether an outer name is assigned where it is none, as of a client that is made when it is needed."""
    return any(
        isinstance(around, ast.If) and part in around.body and _is_none(around.test, name.id)
        for around, part in body.module.around(name)
    )


def _is_none(test: ast.expr, name: str) -> bool:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return isinstance(test.operand, ast.Name) and test.operand.id == name
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Is):
        return isinstance(test.left, ast.Name) and test.left.id == name
    return False


SLEEPS = {"time.sleep": "DBOS.sleep", "asyncio.sleep": "DBOS.sleep_async", "anyio.sleep": "DBOS.sleep_async"}


@rule(
    "workflow-sleep",
    "E",
    "A workflow waits with `DBOS.sleep` or `DBOS.sleep_async`.",
    why="""
`time.sleep` and `asyncio.sleep` begin anew when a workflow is recovered: a wait of a week that is interrupted on its
last day takes another week. A durable sleep records when it ends.""",
    incorrect="""
import time
from dbos import DBOS

@DBOS.workflow()
def remind() -> None:
    time.sleep(3600)
""",
    correct="""
from dbos import DBOS

@DBOS.workflow()
def remind() -> None:
    DBOS.sleep(3600)
""",
)
def sleep(program: Program) -> Iterator[Hit]:
    """Find sleeps that are not durable; a sleep of 0 only lets other tasks run."""
    for body, start in program.workflow_code.items():
        for call, meaning in body.calls:
            nothing = call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
            if meaning in SLEEPS and not nothing:
                message = f"`{meaning}` in {within(body, start)}, is not durable: use {SLEEPS[meaning]}"
                yield Hit(body.module, call, message)


@rule(
    "workflow-idempotency",
    "W",
    "One workflow per `SetWorkflowID` block.",
    why="""
The id is given to the first workflow that starts in the block. A second one gets an id of its own, so that calling
twice with the same key starts it twice.""",
    incorrect="""
from dbos import DBOS, SetWorkflowID

@DBOS.workflow()
def pay() -> None: ...

def handle(key: str) -> None:
    with SetWorkflowID(key):
        DBOS.start_workflow(pay)
        DBOS.start_workflow(pay)
""",
    correct="""
from dbos import DBOS, SetWorkflowID

@DBOS.workflow()
def pay() -> None: ...

def handle(key: str) -> None:
    with SetWorkflowID(f"{key}-first"):
        DBOS.start_workflow(pay)
    with SetWorkflowID(f"{key}-second"):
        DBOS.start_workflow(pay)
""",
)
def idempotency(program: Program) -> Iterator[Hit]:
    """Find a second start among the statements of a block."""
    for body in program.reported():
        for node in body.nodes:
            if not isinstance(node, (ast.With, ast.AsyncWith)):
                continue
            opened = [program.resolve(body.scope.meaning(one.context_expr)) for one in node.items]
            if "dbos.SetWorkflowID()" not in opened:
                continue
            starts = [call for part in node.body if (call := _start(program, body, part))]
            for call in starts[1:]:
                yield Hit(body.module, call, "a second workflow starts in this SetWorkflowID block: it gets another id")


def _start(program: Program, body: Body, statement: ast.stmt) -> ast.Call | None:
    """Return the start of a workflow that a simple statement makes."""
    value = getattr(statement, "value", None) if isinstance(statement, (ast.Expr, ast.Assign, ast.Return)) else None
    value = value.value if isinstance(value, ast.Await) else value
    if not isinstance(value, ast.Call):
        return None
    meaning = program.resolve(body.scope.meaning(value.func)) or ""
    if meaning.removesuffix("_async") in ("dbos.DBOS.start_workflow", "dbos.DBOS.enqueue_workflow"):
        return value
    target = program.body(meaning)
    return value if target and target.kind == "workflow" else None
