"""The table as files: CSV and Parquet with every column of every run, LaTeX with the compact tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from mtlbench.report.frame import plain
from mtlbench.report.quantities import printable
from mtlbench.report.tables import Entry, Table

__all__ = ["latex", "stacked", "to_latex", "write_csv", "write_parquet"]

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    **{character: f"\\{character}" for character in "&%$#_"},
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "–": "--",
    "…": r"\ldots{}",
    "\N{REPLACEMENT CHARACTER}": "?",
}
ESCAPED = str.maketrans(SPECIAL)
MINUS = re.compile(r"(?<![\w.-])-(?=\d)")
PREAMBLE = (
    "% Needs \\usepackage[T1]{fontenc}, \\usepackage{booktabs}; a [low, high] is a 95 % interval.\n"
    "% Names in other alphabets need LuaLaTeX or XeLaTeX and a font that has them.\n"
)


def stacked(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """All rows under the union of columns, in the order of first appearance."""
    every = list(tables)
    if len(every) == 1:
        return every[0]
    return pd.concat([table.astype(object) for table in every], ignore_index=True).infer_objects()


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Every column and row at full precision."""
    table.to_csv(path, index=False)


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """The same as Parquet; a column that mixes numbers and words becomes words."""
    whole = table.copy()
    for name in table.columns:
        if pd.api.types.infer_dtype(table[name], skipna=True).startswith("mixed"):
            whole[name] = [plain(value) or None for value in table[name]]
    whole.to_parquet(path, index=False)


def latex(words: str) -> str:
    """Words as LaTeX prints them as they are, on one line."""
    return printable(" ".join(words.split())).translate(ESCAPED)


def to_latex(tables: Sequence[Table]) -> str:
    """Each table as a `table` with a `tabular` in the manner of booktabs."""
    return PREAMBLE + "\n" + "\n".join(_table(table, number) for number, table in enumerate(tables, 1))


def _table(table: Table, number: int) -> str:
    words = [table.is_words(index) for index in range(len(table.headers))]
    spaces = "".join("l" if word else "r" for word in words)
    heads = [latex(header.title) for header in table.headers]
    units = [latex(header.unit) for header in table.headers]
    rows = [" & ".join(_entry(entry) for entry in row.entries) + r" \\" for row in table.rows]
    notes = [f"$^{{{place}}}$ {latex(note)}" for place, note in enumerate(table.notes, 1)]
    notes += [latex(sentence) for sentence in table.absent]
    lines = [
        r"\begin{table}",
        r"\centering",
        r"\scriptsize",
        f"\\caption{{{latex(table.caption)}}}",
        f"\\label{{tab:mtlbench-{number}}}",
        f"\\begin{{tabular}}{{{spaces}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        *([" & ".join(units) + r" \\"] if any(units) else []),
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        *([r"\par\smallskip", *(f"\\raggedright {note}\\par" for note in notes)] if notes else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _entry(entry: Entry) -> str:
    value, bracket, limits = entry.text.partition(" [")
    shown = MINUS.sub("$-$", latex(value))
    if bracket:
        shown += r" {\tiny [" + MINUS.sub("$-$", latex(limits)) + "}"
    return shown + (f"$^{{{entry.note}}}$" if entry.note else "")
