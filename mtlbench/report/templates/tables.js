const NUMBER = /^[-+±]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?(?![\w.-])/;

/** What a place of a table is sorted by: its number, its words, or null for what is not known. */
function sortKey(cell) {
  const first = [...cell.childNodes].find((node) => node.nodeType === Node.TEXT_NODE);
  const words = (cell.localName === "td" && first ? first.nodeValue : cell.textContent) || "";
  const shown = words.trim();
  if (shown === "" || shown === "-") return null;
  const found = NUMBER.exec(shown.replace("±", ""));
  return found ? parseFloat(found[0]) : shown.toLowerCase();
}

function compare(a, b) {
  if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b);
  return typeof a === "number" ? -1 : 1;
}

/** Sort a table's rows; the unknown stay last either way, equal ones keep their order. */
function sortRows(table, column, direction) {
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({ row, key: sortKey(row.cells[column]), place: Number(row.dataset.place) }));
  rows.sort((a, b) => {
    if (!direction) return a.place - b.place;
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.place - b.place;
    return direction * compare(a.key, b.key) || a.place - b.place;
  });
  body.append(...rows.map((entry) => entry.row));
}

function makeSortable(table) {
  if (table.tBodies[0].rows.length < 2) return;
  [...table.tBodies[0].rows].forEach((row, place) => { row.dataset.place = place; });
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = head.title;
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")] || "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      if (next !== "none") head.setAttribute("aria-sort", next);
      sortRows(table, column, { ascending: 1, descending: -1, none: 0 }[next]);
    });
  });
}

function makeFilter(tools) {
  const rows = [...document.getElementById(tools.dataset.table).tBodies[0].rows];
  const words = rows.map((row) => row.textContent.toLowerCase());
  const [search, variant, status] = [tools.querySelector("input"), tools.querySelector(".by-variant"), tools.querySelector(".by-status")];
  const says = tools.querySelector("output");
  function apply() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, place) => {
      const fits = wanted.every((word) => words[place].includes(word))
        && (!variant.value || row.dataset.variant === variant.value)
        && (!status.value || (status.value === "left") === row.classList.contains("left"));
      row.hidden = !fits;
      shown += fits;
    });
    says.value = shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`;
  }
  for (const control of [search, variant, status]) control.addEventListener("input", apply);
}

document.querySelectorAll("table.data").forEach(makeSortable);
document.querySelectorAll(".tools[data-table]").forEach(makeFilter);
