"""What a worker says of a job that failed, and what becomes of it."""

from __future__ import annotations

import io
import json
import types

import pytest

from mtlbench.errors import DataError
from mtlbench.execute.ledger import Failure
from mtlbench.execute.process import WorkerFailedError, _failure
from mtlbench.execute.worker import _JOBS, Channel, answer
from mtlbench.extensions import note_extension

CODE = "def forward(x):\n    return [x[key] for key in ['scale']]\n"


def answered(monkeypatch, job):
    module = types.ModuleType("jobs_of_a_test")
    module.job = job
    monkeypatch.setitem(__import__("sys").modules, module.__name__, module)
    monkeypatch.setitem(_JOBS, "test", "jobs_of_a_test:job")
    stream = io.StringIO()
    code = answer({"kind": "test"}, Channel(stream))
    return code, json.loads(stream.getvalue())["result"]


def test_the_reason_names_method_and_line_of_another_packages_code(monkeypatch):
    note_extension("their_package.encoder")
    names = {"__name__": "their_package.encoder"}
    exec(compile(CODE, "/site/their_package/encoder.py", "exec"), names)  # noqa: S102
    code, result = answered(monkeypatch, lambda job, channel: names["forward"]({}))
    assert code == 4
    assert result == {"error": "KeyError: 'scale' in forward (/site/their_package/encoder.py:2)"}


@pytest.mark.parametrize("fix", ["Download it again", None])
def test_the_reason_keeps_the_fix_and_the_log(monkeypatch, tmp_path, fix):
    def job(job, channel):
        raise DataError("it is cut off", where="a.png", fix=fix)

    code, result = answered(monkeypatch, job)
    failure = _failure(result, code, tmp_path / "logs" / "launch.log")
    assert isinstance(failure, WorkerFailedError)
    assert failure.where == str(tmp_path / "logs" / "launch.log")
    assert failure.reason == "a.png: it is cut off" + (f". {fix}" if fix else "")
    assert Failure(failure.reason, "logs/launch.log").as_result()["log"] == "logs/launch.log"
