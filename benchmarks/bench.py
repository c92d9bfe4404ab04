"""Benchmarks of a durable-execution library through the public `dbos` API only.

Run under any interpreter that provides `import dbos`:

    python benchmarks/bench.py CASE --db sqlite            (a fresh file in --dir)
    python benchmarks/bench.py CASE --db postgres --pg postgresql://postgres@127.0.0.1:5432

Prints one JSON object per measurement: {"case", "db", "metric", "value", "unit", "n"}.
`runner.py` runs two interpreters alternately and reports medians and ratios. Cases that begin with `_` are the child
processes of others.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from statistics import median

import psycopg

HERE = os.path.abspath(__file__)
ap = argparse.ArgumentParser()
ap.add_argument("case")
ap.add_argument("--db", choices=["sqlite", "postgres"], default="sqlite")
ap.add_argument("--pg", default="postgresql://postgres@127.0.0.1:5432")
ap.add_argument("--dir", default=os.path.join(tempfile.gettempdir(), "dbos-bench"))
ap.add_argument("--url", default="", help="existing system database (used by child processes)")
ap.add_argument("--n", type=int, default=0)
ap.add_argument("--arg", default="")
ap.add_argument("--secs", type=float, default=6.0)
A = ap.parse_args()
os.makedirs(A.dir, exist_ok=True)


def out(metric, value, unit, n=0, **kw):
    print(
        json.dumps(
            {"case": A.case, "db": A.db, "metric": metric, "value": round(value, 3), "unit": unit, "n": n, **kw}
        ),
        flush=True,
    )


def sql(stmt, db="postgres"):
    with psycopg.connect(f"{A.pg}/{db}", autocommit=True) as con:
        cur = con.execute(stmt)
        return cur.fetchall() if cur.description else []


def rows(stmt):
    """Query the system database; write tables as {name}."""
    if A.db == "postgres":
        return sql(stmt.replace("{", "dbos.").replace("}", ""), URL.rsplit("/", 1)[1])
    with contextlib.closing(sqlite3.connect(URL.split("///")[1], timeout=30)) as con:
        return con.execute(stmt.replace("{", "").replace("}", "")).fetchall()


def fresh_url():
    if A.url:
        return A.url
    name = f"bench_{uuid.uuid4().hex[:8]}"
    if A.db == "sqlite":
        return f"sqlite:///{A.dir}/{name}.sqlite"
    sql(f"create database {name}")
    _made.append(name)
    return f"{A.pg}/{name}"


_made = []
URL = ""


def bye():
    """End the process without waiting for library threads; drop the databases this process created."""
    sys.stdout.flush()
    for name in _made:
        try:
            sql(f"drop database if exists {name} with (force)")
        except psycopg.Error as e:
            print(e, file=sys.stderr)
    if A.db == "sqlite" and URL and not A.url:
        for suffix in ("", "-wal", "-shm", "-journal"):
            try:
                os.unlink(URL.split("///")[1] + suffix)
            except OSError:
                pass
    os._exit(0)


def pct(xs, p):
    xs = sorted(xs)
    return xs[min(len(xs) - 1, int(len(xs) * p))]


def child(case, **kw):
    args = [sys.executable, HERE, case, "--db", A.db, "--pg", A.pg, "--url", URL, "--dir", A.dir]
    for k, v in kw.items():
        args += [f"--{k}", str(v)]
    return subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


# ---------------------------------------------------------------- the application under test
def app(launch=True, **cfg):
    global dbos, DBOS, URL, H
    import dbos
    from dbos import DBOS

    if not URL:
        URL = fresh_url()
    conf = {
        "name": "bench",
        "system_database_url": URL,
        "log_level": "CRITICAL",
        "application_version": "v1",
        "executor_id": "local",
    }
    conf.update(cfg)
    DBOS(config=conf)
    H = define()
    if launch:
        DBOS.launch()
    return H


class NS:
    pass


def define():
    h = NS()
    h.starts = []
    h.gate = None

    @DBOS.step()
    def step(x):
        return x

    @DBOS.workflow()
    def wf(n):
        for i in range(n):
            step(i)
        return n

    @DBOS.step()
    async def astep(x):
        return x

    @DBOS.workflow()
    async def awf(n):
        for i in range(n):
            await astep(i)
        return n

    @DBOS.workflow()
    def noop(x):
        h.starts.append(time.time())
        return x

    @DBOS.workflow()
    def stamp(x):
        return time.time()

    @DBOS.workflow()
    def pong(n, peer):
        for i in range(n):
            DBOS.recv("t", timeout_seconds=30)
            DBOS.send(peer, i, "t")

    @DBOS.workflow()
    def ping(n, peer):
        t0 = time.perf_counter()
        for i in range(n):
            DBOS.send(peer, i, "t")
            DBOS.recv("t", timeout_seconds=30)
        return time.perf_counter() - t0

    @DBOS.workflow()
    def eventer(delay):
        time.sleep(delay)
        DBOS.set_event("k", time.time())

    @DBOS.workflow()
    def set_many(n):
        t0 = time.perf_counter()
        for i in range(n):
            DBOS.set_event(f"k{i % 10}", i)
        return time.perf_counter() - t0

    @DBOS.workflow()
    def send_many(n, dest):
        t0 = time.perf_counter()
        for i in range(n):
            DBOS.send(dest, i, "x")
        return time.perf_counter() - t0

    @DBOS.workflow()
    def streamer(n, pause):
        t0 = time.perf_counter()
        for i in range(n):
            DBOS.write_stream("s", time.time())
            if pause:
                time.sleep(pause)
        dt = time.perf_counter() - t0
        DBOS.close_stream("s")
        return dt

    @DBOS.workflow()
    def sleeper(secs):
        time.sleep(secs)
        return time.time()

    @DBOS.step()
    def payload_step(x):
        return x

    @DBOS.workflow()
    def payload_wf(n, x):
        for _ in range(n):
            payload_step(x)

    @DBOS.workflow()
    async def hang(i):
        await astep(i)
        if os.environ.get("BENCH_HANG"):
            h.starts.append(i)
            await asyncio.Event().wait()
        await astep(i)
        h.starts.append(i)
        return i

    @DBOS.workflow()
    async def waiter(i):
        await DBOS.sleep_async(3600)

    for k, v in list(locals().items()):
        if k != "h":
            setattr(h, k, v)
    return h


def timed(f, n):
    t0 = time.perf_counter()
    for _ in range(n):
        f()
    return (time.perf_counter() - t0) / n


# ---------------------------------------------------------------- (a)
def _hello():
    h = app()
    assert h.wf(1) == 1
    print("OK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
    if not A.arg:
        bye()
    DBOS.destroy()


def startup():
    global URL
    URL = fresh_url()

    def run(args):
        t0 = time.perf_counter()
        p = subprocess.run(args, capture_output=True, text=True)
        return time.perf_counter() - t0, p

    reps = A.n or 7
    bare, imp, first = [], [], []
    _, p = run([sys.executable, HERE, "_hello", "--db", A.db, "--pg", A.pg, "--url", URL])  # migrate, warm
    t_new = []
    for _ in range(3):
        u = fresh_url()
        t_new.append(run([sys.executable, HERE, "_hello", "--db", A.db, "--pg", A.pg, "--url", u])[0])
    for _ in range(reps):
        bare.append(run([sys.executable, "-c", "pass"])[0])
        imp.append(run([sys.executable, "-c", "import dbos"])[0])
        d, p = run([sys.executable, HERE, "_hello", "--db", A.db, "--pg", A.pg, "--url", URL])
        first.append(d)
    assert p.stdout.startswith("OK"), p.stderr
    _, pi = run(
        [sys.executable, "-c", "import resource,dbos;print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"]
    )
    out("bare_python", median(bare) * 1e3, "ms", reps)
    out("import_time_net", (median(imp) - median(bare)) * 1e3, "ms", reps)
    out("start_to_first_result_migrated_db", median(first) * 1e3, "ms", reps)
    out("start_to_first_result_new_db", median(t_new) * 1e3, "ms", 3)
    out("rss_after_import", int(pi.stdout) / 1024, "MiB")
    out("rss_after_first_workflow", int(p.stdout.split()[1]) / 1024, "MiB")
    d, p = run([sys.executable, HERE, "_hello", "--db", A.db, "--pg", A.pg, "--url", URL, "--arg", "destroy"])
    out("start_to_exit_with_destroy", d * 1e3, "ms")


# ---------------------------------------------------------------- (b) (c)
def serial():
    h = app()
    timed(lambda: h.wf(1), 20)
    r = {}
    for steps, n in ((0, 200), (1, 200), (10, 60), (100, 10)):
        xs = [timed(lambda: h.wf(steps), max(1, n // 5)) for _ in range(5)]
        r[steps] = median(xs)
        out(f"sync_wf_{steps}_steps", r[steps] * 1e6, "us/wf", n)
    out("sync_per_step", (r[100] - r[0]) / 100 * 1e6, "us/step")


def aserial():
    async def main():
        h = app()
        for _ in range(20):
            await h.awf(1)
        r = {}
        for steps, n in ((0, 200), (1, 200), (10, 60), (100, 10)):
            xs = []
            for _ in range(5):
                k = max(1, n // 5)
                t0 = time.perf_counter()
                for _ in range(k):
                    await h.awf(steps)
                xs.append((time.perf_counter() - t0) / k)
            r[steps] = median(xs)
            out(f"async_wf_{steps}_steps", r[steps] * 1e6, "us/wf", n)
        out("async_per_step", (r[100] - r[0]) / 100 * 1e6, "us/step")

    asyncio.run(main())


def payload():
    h = app()
    for size in (10, 1_000, 100_000, 1_000_000):
        x = "x" * size
        n = 50 if size < 1_000_000 else 10
        h.payload_wf(1, x)
        t0 = time.perf_counter()
        h.payload_wf(n, x)
        out(f"step_returning_{size}_chars", (time.perf_counter() - t0) / n * 1e6, "us/step", n)


# ---------------------------------------------------------------- (d)
def throughput():
    h = app()
    for infl in [int(A.arg)] if A.arg else [1, 10, 100, 1000]:
        t0 = time.perf_counter()
        done = 0
        handles = []
        if infl == 1:
            while time.perf_counter() - t0 < A.secs:
                DBOS.start_workflow(h.wf, 2).get_result()
                done += 1
        elif infl >= 1000:  # one burst of `infl`, start all then wait for all
            handles = [DBOS.start_workflow(h.wf, 2) for _ in range(infl)]
            for x in handles:
                x.get_result()
            done = infl
        else:  # `infl` caller threads, each start + get_result in a loop
            stop = t0 + A.secs
            counts = [0] * infl

            def loop(i):
                while time.perf_counter() < stop:
                    DBOS.start_workflow(h.wf, 2).get_result()
                    counts[i] += 1

            ts = [threading.Thread(target=loop, args=(i,)) for i in range(infl)]
            [t.start() for t in ts]
            [t.join() for t in ts]
            done = sum(counts)
        out(f"start_wf_2steps_threads_{infl}", done / (time.perf_counter() - t0), "wf/s", done)


def athroughput():
    async def main():
        h = app()
        for infl in [int(A.arg)] if A.arg else [1, 10, 100, 1000]:
            t0 = time.perf_counter()
            done = 0

            async def loop():
                nonlocal done
                while time.perf_counter() - t0 < A.secs:
                    await h.awf(2)
                    done += 1

            async def one():
                nonlocal done
                await h.awf(2)
                done += 1

            if infl >= 1000:
                await asyncio.gather(*[one() for _ in range(infl)])
            else:
                await asyncio.gather(*[loop() for _ in range(infl)])
            out(f"async_wf_2steps_gather_{infl}", done / (time.perf_counter() - t0), "wf/s", done)
            t0 = time.perf_counter()
            if infl in (100, 1000):
                hs = [await DBOS.start_workflow_async(h.awf, 2) for _ in range(infl)]
                await asyncio.gather(*[x.get_result() for x in hs])
                out(f"start_workflow_async_2steps_{infl}", infl / (time.perf_counter() - t0), "wf/s", infl)

    asyncio.run(main())


# ---------------------------------------------------------------- (e)
def _worker():
    """Child: serve queue q until a line arrives on stdin, then print its start stamps."""
    h = app(executor_id=f"w{os.getpid()}")
    print("READY", flush=True)
    sys.stdin.readline()
    print(json.dumps(h.starts), flush=True)
    bye()


def fill(n, wc):
    """Child: register queue q and put n no-op workflows on it without serving it."""
    h = app(launch=False)
    DBOS.listen_queues([])
    DBOS.launch()
    DBOS.register_queue("q", worker_concurrency=wc, on_conflict="always_update")
    t0 = time.perf_counter()
    for i in range(n):
        DBOS.enqueue_workflow("q", h.noop, i)
    return n / (time.perf_counter() - t0)


def _fill_child():
    print(fill(A.n, int(A.arg) if A.arg else None), flush=True)
    bye()


def queue():
    global URL
    URL = fresh_url()
    n = A.n or 10000
    first = True
    for workers, wc, k in ((1, "", n), (2, "", n), (1, 100, 2000), (1, 10, 400), (1, 1, 60), (2, 10, 400)):
        p = child("_fill_child", n=k, arg=wc)
        rate = float(p.communicate()[0].strip().splitlines()[-1])
        if first:
            out("enqueue_rate_1_thread", rate, "wf/s", k)
            first = False
        ws = [child("_worker") for _ in range(workers)]
        for w in ws:
            assert w.stdout.readline().strip() == "READY"
        import dbos

        c = dbos.DBOSClient(system_database_url=URL)
        t0 = time.time()
        limit = 60 if wc == "" else 8
        while time.time() - t0 < limit:
            time.sleep(0.1)
            if not c.list_workflows(status=["ENQUEUED", "PENDING"], limit=1, load_input=False, load_output=False):
                break
        starts, t_end = [], time.time()
        for w in ws:
            w.stdin.write("\n")
            w.stdin.flush()
            starts += json.loads(w.stdout.readline())
            w.wait()
        starts.sort()
        span = max(starts[-1] - starts[0], 1e-3)  # body stamps of no-op workflows, first to last
        out(
            f"drain_{workers}_workers_wc_{wc or 'none'}",
            (len(starts) - 1) / span,
            "wf/s",
            len(starts),
            backlog=k,
            all_done_s=round(t_end - starts[0], 2),
        )
        left = [
            w.workflow_id for w in c.list_workflows(status=["ENQUEUED", "PENDING"], load_input=False, load_output=False)
        ]
        if left:
            c.cancel_workflows(left)
        c.destroy()


def enqueue_threads():
    h = app(launch=False)
    DBOS.listen_queues([])
    DBOS.launch()
    DBOS.register_queue("q")
    for thr in (1, 10):
        stop = time.perf_counter() + A.secs / 2
        counts = [0] * thr

        def loop(i):
            while time.perf_counter() < stop:
                DBOS.enqueue_workflow("q", h.noop, i)
                counts[i] += 1

        ts = [threading.Thread(target=loop, args=(i,)) for i in range(thr)]
        [t.start() for t in ts]
        [t.join() for t in ts]
        out(f"enqueue_rate_{thr}_threads", sum(counts) / (A.secs / 2), "wf/s", sum(counts))


def idle_latency():
    h = app()
    DBOS.register_queue("q")
    time.sleep(1.5)
    DBOS.enqueue_workflow("q", h.stamp, 0).get_result()
    xs = []
    t_end = time.time() + A.secs * 3
    while time.time() < t_end and len(xs) < 200:
        t0 = time.time()
        xs.append(DBOS.enqueue_workflow("q", h.stamp, 0).get_result() - t0)
        time.sleep(0.05 + (len(xs) % 7) * 0.013)
    out("enqueue_to_start_idle_p50", pct(xs, 0.5) * 1e3, "ms", len(xs))
    out("enqueue_to_start_idle_p99", pct(xs, 0.99) * 1e3, "ms", len(xs))


# ---------------------------------------------------------------- (f)
def messaging():
    h = app()

    def pp(n):
        a, b = uuid.uuid4().hex, uuid.uuid4().hex
        with dbos.SetWorkflowID(b):
            hb = DBOS.start_workflow(h.pong, n, a)
        with dbos.SetWorkflowID(a):
            ha = DBOS.start_workflow(h.ping, n, b)
        dt = ha.get_result()
        hb.get_result()
        return dt / n

    first = pp(2)
    n = max(2, min(300, int(A.secs / first)))
    out("send_recv_round_trip", pp(n) * 1e3, "ms", n)
    xs = []
    t_end = time.time() + A.secs
    while time.time() < t_end and len(xs) < 60:
        hd = DBOS.start_workflow(h.eventer, 0.03 + (len(xs) % 9) * 0.011)
        v = DBOS.get_event(hd.get_workflow_id(), "k", timeout_seconds=10)
        xs.append(time.time() - v)
        hd.get_result()
    out("get_event_latency_p50", pct(xs, 0.5) * 1e3, "ms", len(xs))
    out("get_event_latency_p99", pct(xs, 0.99) * 1e3, "ms", len(xs))
    n = 300
    out("set_event", h.set_many(n) / n * 1e6, "us", n)
    dest = DBOS.start_workflow(h.sleeper, 20).get_workflow_id()
    out("send", h.send_many(n, dest) / n * 1e6, "us", n)
    n = 500
    hd = DBOS.start_workflow(h.streamer, n, 0)
    dt = hd.get_result()
    out("stream_write", n / dt, "values/s", n)
    t0 = time.perf_counter()
    k = sum(1 for _ in DBOS.read_stream(hd.get_workflow_id(), "s"))
    out("stream_read_closed", k / (time.perf_counter() - t0), "values/s", k)
    hd = DBOS.start_workflow(h.streamer, 40, 0.05)
    xs = [time.time() - v for v in DBOS.read_stream(hd.get_workflow_id(), "s")]
    out("stream_live_latency_p50", pct(xs, 0.5) * 1e3, "ms", len(xs))
    bye()


# ---------------------------------------------------------------- (g)
def _hang_child():
    os.environ["BENCH_HANG"] = "1"

    async def main():
        h = app()
        await asyncio.gather(*[DBOS.start_workflow_async(h.hang, i) for i in range(A.n)])
        while len(h.starts) < A.n:
            await asyncio.sleep(0.05)
        print("HUNG", flush=True)
        await asyncio.sleep(3600)

    asyncio.run(main())


def _recover_child():
    t0 = time.perf_counter()
    h = app()
    t1 = time.perf_counter()
    first = None
    last, t_last = 0, time.perf_counter()
    while len(h.starts) < A.n:
        time.sleep(0.01)
        if h.starts and first is None:
            first = time.perf_counter()
        if len(h.starts) != last:
            last, t_last = len(h.starts), time.perf_counter()
        if time.perf_counter() - t_last > 30:
            break
    while DBOS.list_workflows(status=["PENDING", "ENQUEUED"], limit=1, load_input=False, load_output=False):
        time.sleep(0.05)
        if time.perf_counter() - t_last > 60:
            break
    t2 = time.perf_counter()
    print(
        json.dumps(
            [
                len(h.starts),
                t1 - t0,
                (first or t2) - t0,
                t2 - t0,
                resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            ]
        ),
        flush=True,
    )
    bye()


def recovery():
    global URL
    URL = fresh_url()
    n = A.n or 10000
    p = child("_hang_child", n=n)
    t0 = time.perf_counter()
    assert p.stdout.readline().strip() == "HUNG"
    out("create_pending_async", n / (time.perf_counter() - t0), "wf/s", n)
    os.kill(p.pid, signal.SIGKILL)
    p.wait()
    r = child("_recover_child", n=n)
    o = json.loads(r.communicate()[0].strip().splitlines()[-1])
    out("recovery_launch", o[1] * 1e3, "ms")
    out("recovery_first_body", o[2] * 1e3, "ms")
    out("recovery_all_done", o[3], "s", o[0])
    out("recovery_rate", o[0] / o[3], "wf/s", o[0])
    out("recovery_rss", o[4], "MiB")


# ---------------------------------------------------------------- (h)
def listing():
    h = app()
    for i in range(50):
        h.wf(2)
    wid = DBOS.list_workflows(limit=1)[0].workflow_id
    n = A.n or 100_000
    if A.db == "postgres":
        db = URL.rsplit("/", 1)[1]
        cols = [
            r[0]
            for r in sql(
                "select quote_ident(attname) from pg_attribute where attrelid='dbos.workflow_status'::regclass and attnum>0 and not attisdropped and attgenerated=''",
                db,
            )
        ]
        sel = ",".join({"workflow_uuid": "'clone-'||g", "created_at": "created_at - g*10"}.get(c, c) for c in cols)
        sql(
            f"insert into dbos.workflow_status({','.join(cols)}) select {sel} from dbos.workflow_status, generate_series(1,{n}) g where workflow_uuid='{wid}'",
            db,
        )
        sql("analyze", db)
    else:
        con = sqlite3.connect(URL.split("///")[1])
        cols = [r[1] for r in con.execute("pragma table_info(workflow_status)")]
        sel = ",".join(
            {"workflow_uuid": "'clone-'||g", "created_at": "created_at - g*10"}.get(c, f'"{c}"') for c in cols
        )
        con.execute(
            f"with recursive s(g) as (select 1 union all select g+1 from s where g<{n}) insert into workflow_status({','.join(cols)}) select {sel} from s, workflow_status where workflow_uuid='{wid}'"
        )
        con.commit()
        con.close()
    for name, kw in (
        ("limit100_desc", dict(limit=100, sort_desc=True)),
        ("limit100_offset50k", dict(limit=100, offset=50_000)),
        ("status_pending_limit100", dict(status="PENDING", limit=100)),
        ("by_name_limit100", dict(name="nosuch", limit=100)),
        ("limit10000", dict(limit=10_000)),
        ("limit10000_noio", dict(limit=10_000, load_input=False, load_output=False)),
    ):
        xs = [timed(lambda: DBOS.list_workflows(**kw), 1) for _ in range(5)]
        out(f"list_{name}", median(xs) * 1e3, "ms", 5)
    k = 1 if n >= 100_000 else 3
    out(
        "list_all_100k",
        median([timed(lambda: DBOS.list_workflows(load_input=False, load_output=False), 1) for _ in range(k)]) * 1e3,
        "ms",
        k,
    )
    xs = [timed(lambda: DBOS.get_workflow_status(wid), 50) for _ in range(5)]
    out("get_workflow_status", median(xs) * 1e6, "us", 250)
    xs = [timed(lambda: DBOS.list_workflow_steps(wid), 50) for _ in range(5)]
    out("list_workflow_steps", median(xs) * 1e6, "us", 250)


# ---------------------------------------------------------------- (i)
def _sleep_child():
    h = app()
    print("READY", flush=True)
    for line in sys.stdin:
        if not line.strip():
            break
        wid, secs = line.split()
        with dbos.SetWorkflowID(wid):
            DBOS.start_workflow(h.sleeper, float(secs))
        print("STARTED", flush=True)
    bye()


def wakeup():
    global URL
    URL = fresh_url()
    p = child("_sleep_child")
    assert p.stdout.readline().strip() == "READY"
    app(executor_id="waiter")
    xs = []
    t_end = time.time() + A.secs * 2
    while time.time() < t_end and len(xs) < 60:
        wid = uuid.uuid4().hex
        p.stdin.write(f"{wid} {0.03 + (len(xs) % 9) * 0.031}\n")
        p.stdin.flush()
        p.stdout.readline()
        v = DBOS.retrieve_workflow(wid).get_result()
        xs.append(time.time() - v)
    out("get_result_other_process_p50", pct(xs, 0.5) * 1e3, "ms", len(xs))
    out("get_result_other_process_p99", pct(xs, 0.99) * 1e3, "ms", len(xs))
    p.stdin.write("\n")
    p.stdin.flush()
    p.wait()
    bye()


# ---------------------------------------------------------------- SQL counts (Postgres)
def counter():
    """Return a function that gives statements, begins, commits and rollbacks so far, and the time."""
    if A.db == "postgres":
        db = URL.rsplit("/", 1)[1]
        sql("create extension if not exists pg_stat_statements", db)
        kinds = ["!~* '^(begin|commit|rollback)'", "~* '^begin'", "~* '^commit'", "~* '^rollback'"]
        sums = ", ".join(f"coalesce(sum(calls) filter (where query {kind}), 0)" for kind in kinds)

        def snap():
            time.sleep(1.2)  # statistics of other back ends are flushed about once a second
            found = sql(
                f"select {sums} from pg_stat_statements s join pg_database d on d.oid = s.dbid "
                "where datname = current_database() and query !~ 'pg_stat'",
                db,
            )
            return [float(v) for v in found[0]], time.time()
    else:

        def snap():
            return list(_traced), time.time()

    return snap


_traced = [0.0, 0.0, 0.0, 0.0]


def trace_sqlite():
    """Count what every SQLite connection of this process executes, whoever opens it."""

    def count(statement):
        word = statement.lstrip()[:8].lower()
        _traced[
            1 if word.startswith("begin") else 2 if word.startswith("commit") else 3 if word == "rollback" else 0
        ] += 1

    def connect(*args, **kwargs):
        connection = original(*args, **kwargs)
        connection.set_trace_callback(count)
        return connection

    original = sqlite3.connect
    sqlite3.connect = sqlite3.dbapi2.connect = connect


def sqlcount():
    if A.db == "sqlite":
        trace_sqlite()
    h = app()
    snap = counter()
    h.wf(2)
    (a0, t0) = snap()
    time.sleep(4)
    (a1, t1) = snap()
    idle = [(y - x) / (t1 - t0) for x, y in zip(a0, a1)]
    out("idle_statements_per_s", idle[0], "stmt/s")
    n = 100
    dest = DBOS.start_workflow(h.sleeper, 60).get_workflow_id()

    async def arun(k):
        for _ in range(n):
            await h.awf(k)

    ops = [
        ("wf_0_steps", lambda: [h.wf(0) for _ in range(n)]),
        ("wf_2_steps", lambda: [h.wf(2) for _ in range(n)]),
        ("wf_12_steps", lambda: [h.wf(12) for _ in range(n)]),
        ("async_wf_2_steps", lambda: asyncio.run(arun(2))),
        ("start_workflow+get_result_2_steps", lambda: [DBOS.start_workflow(h.wf, 2).get_result() for _ in range(n)]),
    ]
    later = [
        ("enqueue_only", lambda: [DBOS.enqueue_workflow("nobody", h.noop, 1) for _ in range(n)]),
        ("enqueue+run", lambda: [x.get_result() for x in [DBOS.enqueue_workflow("q", h.noop, 1) for _ in range(n)]]),
        ("set_event", lambda: h.set_many(n)),
        ("send", lambda: h.send_many(n, dest)),
        ("write_stream", lambda: DBOS.start_workflow(h.streamer, n, 0).get_result()),
    ]
    if hasattr(DBOS, "register_queue"):
        DBOS.register_queue("q")
        ops += later
    for name, f in ops:
        (a0, t0) = snap()
        f()
        (a1, t1) = snap()
        d = [max(0.0, (y - x) - i * (t1 - t0)) / n for x, y, i in zip(a0, a1, idle)]
        out(name, d[0], "statements/op", n, begins=round(d[1], 2), commits=round(d[2], 2), rollbacks=round(d[3], 2))
    bye()


def memory():
    """Hold many waiting async workflows; say what each costs."""

    async def main():
        h = app()
        n = A.n or 10000
        for _ in range(20):
            await h.awf(1)
        before, threads = rss(), threading.active_count()
        t0 = time.perf_counter()
        for first in range(0, n, 500):
            await asyncio.gather(*[DBOS.start_workflow_async(h.waiter, i) for i in range(first, min(n, first + 500))])
        while rows("select count(*) from {operation_outputs} where function_name = 'DBOS.sleep'")[0][0] < n:
            await asyncio.sleep(0.2)
        out("start_waiting_async", n / (time.perf_counter() - t0), "wf/s", n)
        out("rss_per_waiting_async_workflow", (rss() - before) / n / 1024, "KiB", n)
        out("threads_added", threading.active_count() - threads, "threads", n)
        bye()

    asyncio.run(main())


def rss():
    """Return this process's resident memory in bytes (its peak, where the system does not tell)."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    globals()[A.case]()
    bye()
