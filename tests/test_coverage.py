"""The promised names work as docs/coverage.md says, and its gaps only shrink."""

from __future__ import annotations

import json
from pathlib import Path

import argument_names
import numpy as np
import pytest
from click.testing import CliRunner

from lazygrad.cli.commands import lazygrad as command
from lazygrad.cli.coverage import gap_lines, long_dtypes, markdown, recorded, short_dtypes
from lazygrad.testing.coverage import CHECKS, DTYPES, MISSING, Gap, Library, Row, measure, quiet
from lazygrad.testing.samples import SAMPLES

PAGE = Path(__file__).parent.parent / "docs" / "coverage.md"


def test_every_name_of_the_promise_has_a_row() -> None:
    labels = [sample.label for sample in SAMPLES]
    assert len(labels) == len(set(labels))
    assert list(recorded(PAGE.read_text(encoding="utf-8"))) == labels


def test_what_the_page_calls_working_runs() -> None:
    """Without PyTorch: every form that it records as present is there, and its calls run."""
    found = {row.name: row for row in measure()}
    broken = []
    for name, row in recorded(PAGE.read_text(encoding="utf-8")).items():
        now = found[name]
        gone = [d for d in row.dtypes if d not in now.dtypes]
        lost = [c for c in CHECKS if row.checks[c] == "yes" and now.checks[c] != "yes"]
        broken += [(name, what) for what in (*gone, *lost) if what != "errors"]
    assert not broken


def test_gaps_against_torch_only_shrink() -> None:
    torch = pytest.importorskip("torch")
    known = recorded(PAGE.read_text(encoding="utf-8"))
    new = []
    for row in measure(torch):
        if any(MISSING in gap.text for gap in known[row.name].gaps):
            continue  # all of it is a gap; once it is there, the page is written again
        keys = {gap.key for gap in known[row.name].gaps}
        new += [gap for gap in row.gaps if gap.key not in keys]
    assert not new, "\n".join(gap_lines(new))


def test_the_page_is_read_as_it_was_written() -> None:
    rows = [
        Row("x[c[:, 0], 1]", "core", ["float64", "bool"], dict.fromkeys(CHECKS, "yes")),
        Row(
            "F.celu",
            "extended",
            [],
            dict.fromkeys(CHECKS, "gap"),
            [Gap("F.celu", check, d, "`x`: (a), b: c") for check in CHECKS for d in DTYPES[:5]],
        ),
    ]
    read = recorded(markdown(rows))
    assert [row.name for row in rows] == list(read)
    for row in rows:
        assert read[row.name].dtypes == row.dtypes and read[row.name].checks == row.checks
        assert read[row.name].gaps == row.gaps
    for dtypes in (DTYPES, DTYPES[:3], DTYPES[4:9], ("uint8", "bool"), ()):
        assert long_dtypes(short_dtypes(dtypes)) == list(dtypes)


def test_the_generator_and_the_backend_stay_as_they_were() -> None:
    import lazygrad as lg
    from lazygrad.config import config

    before = lg.get_rng_state().tolist(), config.backend
    (row,) = measure(names=["randn"], dtypes=["float32"])
    assert row.checks["forward"] == "yes" and row.dtypes == ["float32"]
    assert before == (lg.get_rng_state().tolist(), config.backend)


def test_the_command_without_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = measure(names=["abs", "x[1:3]"], dtypes=["float64", "bool"])
    monkeypatch.setattr("lazygrad.cli.coverage.pytorch", lambda: None)
    monkeypatch.setattr("lazygrad.cli.coverage.measure", lambda reference: rows)
    page = tmp_path / "coverage.md"
    refused = CliRunner().invoke(command, ["coverage", "--write", str(page)])
    assert refused.exit_code == 1 and not page.exists() and "not installed" in refused.output
    shown = json.loads(CliRunner().invoke(command, ["coverage", "--json"]).output)
    assert shown["pytorch"] is None and [n["name"] for n in shown["names"]] == ["abs", "x[1:3]"]
    assert shown["names"][1]["checks"]["in-place"] == "yes"
    text = CliRunner().invoke(command, ["coverage"]).output
    assert "x[1:3]" in text and "compared with nothing" in text


def test_a_wrong_result_is_a_gap() -> None:
    """The comparison sees dtypes, shapes, values, missing forms and exceptions."""
    from lazygrad.testing.coverage import ABSENT, Outcome, difference

    def of(dtype: str, *values: float) -> Outcome:
        return Outcome(values=((dtype, (len(values),), np.array(values)),))

    good, refusal = of("float32", 1, 2), Outcome(error="RuntimeError", words="no")
    assert not difference(good, of("float32", 1, 2 + 1e-7))
    assert not difference(of("float32", np.nan), of("float32", np.nan))
    assert not difference(refusal, Outcome(error="RuntimeError", words="other"))
    for other in (of("float32", 1, 2.1), of("float64", 1, 2), of("float32", 1), refusal, ABSENT):
        assert difference(other, good), other
    assert difference(of("int64", 1), of("int64", 2)) and difference(good, refusal)


def test_arguments_go_by_the_names_and_have_the_defaults_that_pytorch_was_seen_to_take() -> None:
    import lazygrad as lg

    page = argument_names.PAGE.read_text(encoding="utf-8").splitlines()
    assert len(page) > 1500
    with quiet(lg):
        wrong = list(argument_names.wrong(Library(lg), page))
    assert not wrong, "\n".join(wrong)


@pytest.mark.torch
def test_the_record_of_arguments_is_pytorchs() -> None:
    pytest.importorskip("torch")
    assert argument_names.lines() == argument_names.PAGE.read_text(encoding="utf-8").splitlines()
