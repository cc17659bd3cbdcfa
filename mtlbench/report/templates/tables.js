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

const BETWEEN = /[\s,;:=()[\]]+/;

/** Lower-case words of a text, an option apart from its value. */
function wordsOf(shown) {
  return shown.toLowerCase().split(BETWEEN).filter(Boolean);
}

/** What a row is found by: its entries, after what their columns are called where those are options, without a unit. */
function rowWords(row, heads) {
  return [...row.cells].flatMap((cell, column) => {
    const shown = [...cell.childNodes].filter((node) => !node.matches?.("sup, .interval")).map((node) => node.textContent);
    return [...wordsOf(`${heads[column]} ${shown.join("")}`), ""];
  });
}

function isNumber(word) {
  return word !== "" && !Number.isNaN(Number(word));
}

/** Whether a row has a word, right after an option if one is given: a number by its value, so that 10 is not 10.7. */
function hasWord(words, wanted, option) {
  const is = isNumber(wanted) ? (word) => isNumber(word) && Number(word) === Number(wanted) : (word) => word.includes(wanted);
  return words.some((word, place) => is(word) && (!option || words[place - 1] === option));
}

function makeFilter(tools) {
  const table = document.getElementById(tools.dataset.table);
  const rows = [...table.tBodies[0].rows];
  const heads = [...table.tHead.rows[0].cells].map((head) => (head.querySelector(".unit") ? "" : head.textContent));
  const words = rows.map((row) => rowWords(row, heads));
  const options = new Set(words.flatMap((found) => found.filter((_, place) => isNumber(found[place + 1] ?? ""))));
  const [search, variant, status] = [tools.querySelector("input"), tools.querySelector(".by-variant"), tools.querySelector(".by-status")];
  const says = tools.querySelector("output");
  function apply() {
    const wanted = wordsOf(search.value);
    let shown = 0;
    rows.forEach((row, place) => {
      const fits = wanted.every((word, at) => hasWord(words[place], word, isNumber(word) && options.has(wanted[at - 1]) && wanted[at - 1]))
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
