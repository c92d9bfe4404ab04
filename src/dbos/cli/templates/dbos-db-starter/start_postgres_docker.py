"""Start a Postgres for development: the same as `dbos postgres start`."""

import subprocess
import sys

sys.exit(subprocess.call(["dbos", "postgres", "start"]))
