"""`dbos lint`: its forms of output, its exit codes, its comments."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dbos.lint import RULES

ROOT = Path(__file__).parents[2]
WRONG = """\
import time
from dbos import DBOS


@DBOS.workflow()
def work():
\ttime.sleep(5); "é"; time.sleep(6)
"""
MILD = """\
from dbos import DBOS


@DBOS.workflow()
def work():
    DBOS.run_step(None, lambda: 1)
"""


@pytest.mark.rules("SKL-4")
def test_text_shows_the_line_and_a_caret(bare):
    Path("wrong.py").write_text(WRONG)
    assert bare("lint", "wrong.py", code=1).stdout == (
        "wrong.py:7:2: E [workflow-sleep] `time.sleep` in workflow `work`, is not durable: use DBOS.sleep\n"
        '    time.sleep(5); "é"; time.sleep(6)\n'
        "    ^^^^^^^^^^^^^\n\n"
        "wrong.py:7:22: E [workflow-sleep] `time.sleep` in workflow `work`, is not durable: use DBOS.sleep\n"
        '    time.sleep(5); "é"; time.sleep(6)\n'
        "                        ^^^^^^^^^^^^^\n\n"
        "Found 2 errors, 0 warnings.\n"
    )


@pytest.mark.rules("SKL-4")
def test_json_is_one_line(bare):
    Path("wrong.py").write_text(WRONG)
    first, _ = bare.json("lint", "--json", ".", code=1)
    assert first.pop("message")
    assert first == {
        "path": "wrong.py", "line": 7, "column": 2, "end_column": 15, "level": "E", "rule": "workflow-sleep",
        "source": '\ttime.sleep(5); "é"; time.sleep(6)',
    }  # fmt: skip


def test_sarif_names_the_rules_and_the_places(bare):
    Path("wrong.py").write_text(WRONG)
    log = json.loads(bare("lint", "--sarif", ".", code=1).stdout)
    run = log["runs"][0]
    assert log["version"] == "2.1.0"
    assert [one["id"] for one in run["tool"]["driver"]["rules"]] == [one.code for one in RULES]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "wrong.py"}
    assert place["region"] == {"startLine": 7, "startColumn": 2, "endColumn": 15}


@pytest.mark.rules("SKL-4")
def test_warnings_alone_are_no_failure(bare):
    Path("mild.py").write_text(MILD)
    assert bare("lint", "mild.py").stdout.endswith("Found 0 errors, 1 warning.\n")


def test_a_clean_program_says_so(bare):
    Path("clean.py").write_text("print('hello')\n")
    assert bare("lint", ".").stdout == "No findings.\n"


@pytest.mark.rules("SKL-4")
@pytest.mark.parametrize(
    "comment", ["# dbos: ignore[workflow-sleep]", "# dbos: ignore", "# fine # dbos:ignore[a, workflow-sleep]"]
)
def test_a_comment_silences_its_line_or_the_next(bare, comment):
    head, _, line = WRONG.rstrip().rpartition("\n")
    Path("same.py").write_text(f"{head}\n{line}  {comment}\n")
    Path("next.py").write_text(f"{head}\n\t{comment}\n{line}\n")
    bare("lint", ".")


def test_a_comment_silences_no_other_rule_and_no_other_line(bare):
    head, _, line = WRONG.rstrip().rpartition("\n")
    Path("other.py").write_text(f"{head}\n{line}  # dbos: ignore[step-inline]\n")
    Path("later.py").write_text(f"{head}\n{line}\n\t# dbos: ignore\n")
    Path("text.py").write_text(f'{head}\n{line}; "# dbos: ignore"\n')
    assert len(bare.json("lint", "--json", ".", code=1)) == 6


def test_explains_a_rule(bare):
    shown = bare("lint", "--explain", "workflow-sleep").stdout
    assert shown.startswith("workflow-sleep (error): ")
    assert "Incorrect:\n\n    import time\n" in shown
    assert "    DBOS.sleep(3600)" in shown.partition("Correct:")[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "PATH"),
        (["absent.py"], "absent.py"),
        (["--explain", "nothing"], "workflow-sleep"),
        (["--json", "--sarif", "."], "exclude"),
    ],
)
def test_misuse_exits_with_2(bare, arguments, said):
    Path("broken.py").write_text("def :\n")
    assert said in bare.refusal("lint", *arguments, code=2)


def test_a_file_that_is_not_python_does_not_hide_the_others(bare):
    Path("broken.py").write_text("def :\n")
    Path("wrong.py").write_text(WRONG)
    ran = bare("lint", ".", code=2)
    assert ran.stderr.startswith("Error: broken.py:1: not Python")
    assert "Found 2 errors" in ran.stdout


def test_carets_stand_below_what_they_are_about_whatever_the_alphabet(bare):
    Path("wrong.py").write_bytes(f"# coding: euc_jp\n{WRONG.replace('é', '日本')}".encode("euc_jp"))
    *_, line, carets, _, _ = bare("lint", "wrong.py", code=1).stdout.splitlines()
    assert line.endswith('time.sleep(5); "日本"; time.sleep(6)')
    assert carets == " " * 27 + "^" * 13


def test_a_sum_of_two_thousand_strings_is_not_too_deep(bare):
    Path("long.py").write_text(f"text = {' + '.join(['str()'] * 2000)}\n")
    assert bare("lint", "long.py").stdout == "No findings.\n"


def test_lines_are_counted_as_python_does(bare):
    Path("pages.py").write_text("\f\n# \u2028 \x1d\n" + WRONG)
    Path("loop").symlink_to(".")
    first, _ = bare.json("lint", "--json", ".", code=1)
    assert (first["line"], first["source"]) == (9, WRONG.splitlines()[-1])


def test_a_file_alone_is_judged_as_in_its_project(bare):
    Path("helpers.py").write_text("import time\n\n\ndef pause():\n    time.sleep(1)\n")
    Path("main.py").write_text(
        "from dbos import DBOS\nfrom helpers import pause\n\n\n@DBOS.workflow()\ndef work():\n    pause()\n"
    )
    assert bare.json("lint", "--json", "main.py") == []
    assert len(bare.json("lint", "--json", ".", code=1)) == 1


def test_a_file_of_tests_is_judged_with_its_fixtures(bare):
    Path("tests").mkdir()
    launches = "import pytest\nfrom dbos import DBOS\n\n\n@pytest.fixture\ndef dbos():\n    DBOS.launch()\n"
    Path("tests/test_orders.py").write_text(launches)
    assert [one["rule"] for one in bare.json("lint", "--json", "tests/test_orders.py")] == ["test-fixtures"]
    Path("conftest.py").write_text(launches.replace("launch", "destroy"))
    assert bare.json("lint", "--json", "tests/test_orders.py") == []


@pytest.mark.rules("SKL-4")
def test_finds_nothing_in_the_examples_and_in_this_project(bare):
    bare("lint", str(ROOT / "examples"), str(ROOT / "src"))


def test_importing_dbos_imports_no_linter_and_the_linter_runs_nothing(tmp_path):
    (tmp_path / "loud.py").write_text("raise SystemExit('imported')\n")
    program = (
        "import sys, dbos\n"
        "assert not [name for name in sys.modules if name.startswith('dbos.lint')]\n"
        "from dbos.lint import lint\n"
        f"assert lint([{str(tmp_path)!r}]) == []\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
