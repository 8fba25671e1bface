"""The report of a reading adds up, survives a file, and is readable."""

from sbp_jax.data.readers.report import EXAMPLES, ReadReport


def filled() -> ReadReport:
    report = ReadReport(read=12, kept=3, formats={"Big Data Bowl 2021": 1}, ignored=["/data/notes.csv"])
    report.reject("no snap", [(1, n) for n in range(8)])
    report.reject("nullified", [(2, 5)])
    report.reject("too few frames", [])
    report.repair("empty rows dropped", 27)
    report.repair("copies", 0)
    return report


def test_rejections_and_repairs_are_counted_with_examples():
    report = filled()
    assert report.rejected == {"no snap": 8, "nullified": 1}
    assert report.examples["no snap"] == [f"1/{n}" for n in range(EXAMPLES)]
    assert report.repaired == {"empty rows dropped": 27}
    assert report.reasons() == "no snap 8, nullified 1"


def test_reports_add_up():
    both = filled() + filled()
    assert (both.read, both.kept) == (24, 6)
    assert both.rejected == {"no snap": 16, "nullified": 2}
    assert both.examples["nullified"] == ["2/5", "2/5"]
    assert len(both.examples["no snap"]) == EXAMPLES
    assert both.repaired == {"empty rows dropped": 54}
    assert both.formats == {"Big Data Bowl 2021": 2}
    assert ReadReport() + filled() == filled()


def test_markdown_has_a_line_for_everything():
    lines = filled().to_markdown().splitlines()
    assert lines[2:4] == ["| plays read | 12 | |", "| plays kept | 3 | |"]
    assert "| rejected: no snap | 8 | 1/0, 1/1, 1/2, 1/3, 1/4 |" in lines
    assert "| repaired: empty rows dropped | 27 | |" in lines
    assert "| files: Big Data Bowl 2021 | 1 | |" in lines
    assert "| files: ignored | 1 | notes.csv |" in lines
