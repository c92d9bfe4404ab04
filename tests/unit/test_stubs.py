"""The generator of type stubs, against a small module of the shape it describes."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

stubs = importlib.import_module("stubs")
stub_sample = importlib.import_module("unit.stub_sample")

HERE = Path(__file__).parent
EXPECTED = HERE / "stub_sample.expected"


def test_a_class_of_verbs_is_described_with_signatures_and_documentation():
    assert stubs.formatted(stubs.render(stub_sample.Sample), HERE / "stub_sample.pyi") == EXPECTED.read_text()


def test_a_name_that_the_module_lacks_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setitem(stub_sample.send_operation.__annotations__, "to", "Nowhere")
    monkeypatch.setattr(stub_sample.Sample, "late", stub_sample.verb(stub_sample.send_operation), raising=False)
    with pytest.raises(stubs.StubError, match="unit.stub_sample has no name 'Nowhere'"):
        stubs.render(stub_sample.Sample)


def test_what_is_no_method_or_variable_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(stub_sample.Sample, "thing", object(), raising=False)
    with pytest.raises(stubs.StubError, match="thing: do not know how to describe a object"):
        stubs.render(stub_sample.Sample)


def test_the_stubs_of_the_package_are_fresh():
    tool = Path(stubs.__file__)
    checked = subprocess.run([sys.executable, str(tool), "--check"], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr
