"""Reminders behind Flask: durable sleeps, debounced saving, cancelling; started by a WSGI server."""

import os
import secrets
from datetime import datetime, timedelta

from flask import Flask, abort, jsonify, request, session

from dbos import DBOS, Debouncer, SetWorkflowAttributes, SetWorkflowID
from dbos.error import DBOSNonExistentWorkflowError

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET") or secrets.token_hex(16)
DBOS(flask=app, config={"name": "reminders", "system_database_url": os.environ.get("DATABASE_URL")})


@DBOS.step()
def deliver(user: str, text: str) -> None:
    import smtplib

    with smtplib.SMTP("localhost", 25) as server:
        server.sendmail("reminders@example.com", [user], f"Subject: Reminder\n\n{text}")


@DBOS.step()
def now() -> datetime:
    return datetime.now()


@DBOS.step()
def write_draft(user: str, text: str) -> int:
    path = f"/var/lib/drafts/{user}.txt"
    with open(path, "w", encoding="utf-8") as file:
        return file.write(text)


@DBOS.workflow()
def remind(user: str, text: str, due: str) -> str:
    wait = (datetime.fromisoformat(due) - now()).total_seconds()
    DBOS.sleep(max(wait, 0))
    deliver(user, text)
    for _ in range(3):
        if DBOS.recv("acknowledged", timeout_seconds=timedelta(hours=1).total_seconds()):
            return "acknowledged"
        deliver(user, f"again: {text}")
    return "given up"


@DBOS.workflow()
def save_draft(user: str, text: str) -> int:
    return write_draft(user, text)


drafts = Debouncer.create(save_draft, debounce_timeout_sec=60)


@app.route("/reminders", methods=["POST"])
def create():
    body = request.get_json()
    key = request.headers.get("Idempotency-Key", secrets.token_urlsafe(8))
    with SetWorkflowID(key), SetWorkflowAttributes({"user": session["user"]}):
        handle = DBOS.start_workflow(remind, session["user"], body["text"], body["due"])
    return jsonify(id=handle.workflow_id), 202


@app.route("/reminders/<key>", methods=["DELETE"])
def delete(key: str):
    try:
        DBOS.retrieve_workflow(key)
    except DBOSNonExistentWorkflowError:
        abort(404)
    DBOS.cancel_workflow(key)
    return "", 204


@app.route("/reminders/<key>/ack", methods=["POST"])
def acknowledge(key: str):
    DBOS.send(key, True, "acknowledged", idempotency_key=f"ack-{key}")
    return "", 204


@app.put("/draft")
def put_draft():
    drafts.debounce(session["user"], 5, session["user"], request.get_data(as_text=True))
    return "", 202


@app.before_request
def identify():
    session.setdefault("user", request.headers.get("X-User") or f"guest-{secrets.token_hex(4)}")


if __name__ == "__main__":
    DBOS.launch()
    app.run(port=8000)
