const data = JSON.parse(document.getElementById("cells").textContent);
const canvas = document.getElementById("canvas");
const [pickX, pickY, pickGroup] = ["axis-x", "axis-y", "setting"].map((id) => document.getElementById(id));
const [logX, logY, showIntervals] = ["log-x", "log-y", "intervals"].map((id) => document.getElementById(id));
const says = document.getElementById("chart-says");
const hidden = new Set();
const outlines = {};
for (const symbol of document.querySelectorAll(".marks symbol")) {
  outlines[symbol.dataset.marker] = symbol.firstElementChild.getAttribute("d");
}
const PLOT = { left: 68, right: 18, top: 14, bottom: 50 };
const ALWAYS = ["delta-m", "latency", "executed MACs", "peak memory"];

/** As many decimals as the interval supports; the rule of the tables. */
function decimals(value, low, high) {
  let needed = 0;
  if (low !== null && high !== null && high > low) needed = -Math.floor(Math.log10((high - low) / 4));
  else if (value) needed = 2 - Math.floor(Math.log10(Math.abs(value)));
  return Math.min(Math.max(needed, 0), 4);
}

function worded(quantity, cell) {
  const [value, low, high] = estimate(quantity, cell);
  if (value === null) return "-";
  const digits = decimals(value, low, high);
  const fixed = (number) => (number && Math.abs(number) < 1e-4 ? number.toPrecision(2) : number.toFixed(digits));
  const limits = low === null || high === null || low === high ? "" : ` [${fixed(low)}, ${fixed(high)}]`;
  return `${fixed(value)}${limits}${quantity.unit ? ` ${quantity.unit}` : ""}`;
}

function estimate(quantity, cell) {
  const low = quantity.low ? quantity.low[cell] : null;
  const high = quantity.high ? quantity.high[cell] : null;
  return [quantity.value[cell], low, high];
}

function make(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function option(select, words, value) {
  const element = document.createElement("option");
  element.textContent = words;
  element.value = value;
  select.append(element);
}

/** Places of ticks and the ends of an axis around values. */
function scale(values, log, from, to) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (log) {
    const ticks = [];
    [low, high] = [low / 1.15, high * 1.15];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const digit of [1, 2, 5]) {
        const tick = digit * 10 ** power;
        if (tick >= low && tick <= high) ticks.push(tick);
      }
    }
    const span = Math.log(high / low) || 1;
    return { ticks, at: (value) => from + ((to - from) * Math.log(value / low)) / span };
  }
  const room = (high - low || Math.abs(high) || 1) * 0.07;
  [low, high] = [low - room, high + room];
  const raw = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((digit) => digit * power >= raw) * power;
  const ticks = [];
  for (let tick = Math.ceil(low / step); tick * step <= high; tick += 1) ticks.push(tick * step);
  return { ticks, at: (value) => from + ((to - from) * (value - low)) / (high - low) };
}

function tickWords(value) {
  return String(Number(value.toPrecision(4)));
}

function titled(quantity) {
  const direction = { 1: "more is better", "-1": "less is better", 0: "" }[quantity.better];
  return [quantity.title, quantity.unit, direction].filter(Boolean).join(", ");
}

/** Cells that nothing shown beats in both quantities, from left to right. */
function front(cells, x, y) {
  const order = [...cells].sort((a, b) => x.better * (x.value[b] - x.value[a]) || y.better * (y.value[b] - y.value[a]));
  let best = -Infinity;
  return order.filter((cell) => {
    const ahead = y.better * y.value[cell] > best;
    if (ahead) best = y.better * y.value[cell];
    return ahead;
  });
}

const box = document.createElement("div");
box.className = "readout";
box.hidden = true;
let marks = [];
let current = -1;

function drawAxes(svg, x, y, across, up, width, height) {
  const grid = make("g", { class: "grid" });
  const words = make("g", { class: "ticks" });
  for (const tick of across.ticks) {
    grid.append(make("line", { x1: across.at(tick), x2: across.at(tick), y1: PLOT.top, y2: height - PLOT.bottom }));
    words.append(make("text", { x: across.at(tick), y: height - PLOT.bottom + 18, "text-anchor": "middle" }, tickWords(tick)));
  }
  for (const tick of up.ticks) {
    grid.append(make("line", { x1: PLOT.left, x2: width - PLOT.right, y1: up.at(tick), y2: up.at(tick) }));
    words.append(make("text", { x: PLOT.left - 8, y: up.at(tick) + 4, "text-anchor": "end" }, tickWords(tick)));
  }
  const middle = (PLOT.top + height - PLOT.bottom) / 2;
  words.append(
    make("text", { class: "title", x: (PLOT.left + width - PLOT.right) / 2, y: height - 8, "text-anchor": "middle" }, titled(x)),
    make("text", { class: "title", transform: `translate(14 ${middle}) rotate(-90)`, "text-anchor": "middle" }, titled(y)),
  );
  svg.append(grid, words);
}

function whisker(cell, x, y, across, up, colour) {
  const [centreX, centreY] = [across.at(x.value[cell]), up.at(y.value[cell])];
  const lines = [];
  const [, lowX, highX] = estimate(x, cell);
  const [, lowY, highY] = estimate(y, cell);
  if (lowX !== null && highX !== null && (!logX.checked || lowX > 0)) lines.push(`M${across.at(lowX)} ${centreY}H${across.at(highX)}`);
  if (lowY !== null && highY !== null && (!logY.checked || lowY > 0)) lines.push(`M${centreX} ${up.at(lowY)}V${up.at(highY)}`);
  return make("path", { d: lines.join(""), stroke: colour, class: "whisker" });
}

function described(cell) {
  const seed = data.seed[cell] ? `, seed ${data.seed[cell]}` : "";
  return `${data.labels[data.label[cell]]}${seed}`;
}

function drawMarks(svg, cells, x, y, across, up) {
  const order = [...cells].sort((a, b) => x.value[a] - x.value[b]);
  if (x.better && y.better && cells.length > 1) {
    const steps = front(cells, x, y).sort((a, b) => x.value[a] - x.value[b]);
    const rising = x.better < 0;
    let path = "";
    steps.forEach((cell, place) => {
      const [px, py] = [across.at(x.value[cell]), up.at(y.value[cell])];
      path += place === 0 ? `M${px} ${py}` : (rising ? `H${px}V${py}` : `V${py}H${px}`);
    });
    svg.append(make("path", { d: path, class: "front" }));
  }
  if (showIntervals.checked) {
    for (const cell of order) svg.append(whisker(cell, x, y, across, up, data.variants[data.variant[cell]][1]));
  }
  marks = order.map((cell, place) => {
    const [, colour, marker] = data.variants[data.variant[cell]];
    const [px, py] = [across.at(x.value[cell]), up.at(y.value[cell])];
    const label = `${described(cell)}: ${x.title} ${worded(x, cell)}; ${y.title} ${worded(y, cell)}`;
    const element = make("g", {
      class: "mark", role: "img", tabindex: place === 0 ? 0 : -1, "aria-label": label, transform: `translate(${px} ${py})`,
    }, make("path", { d: outlines[marker], fill: colour }));
    element.addEventListener("focus", () => read(place));
    element.addEventListener("blur", hide);
    svg.append(element);
    return { cell, element, px, py };
  });
}

function read(place) {
  const { cell, px, py } = marks[place];
  if (current >= 0 && marks[current]) marks[current].element.classList.remove("read");
  current = place;
  marks[place].element.classList.add("read");
  const [x, y] = chosen();
  const shown = [x, y, ...data.quantities.filter((quantity) => ALWAYS.includes(quantity.title) && quantity !== x && quantity !== y)];
  const list = document.createElement("dl");
  for (const quantity of shown) {
    if (quantity.value[cell] === null) continue;
    const [term, value] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = quantity.title;
    value.textContent = worded(quantity, cell);
    list.append(term, value);
  }
  const [name, setting] = [document.createElement("strong"), document.createElement("span")];
  name.textContent = described(cell);
  setting.textContent = data.groups.length > 1 ? data.groups[data.group[cell]] : "";
  box.replaceChildren(name, setting, list);
  box.hidden = false;
  const left = px + 16 + box.offsetWidth > canvas.clientWidth ? px - 16 - box.offsetWidth : px + 16;
  box.style.left = `${Math.max(0, Math.min(left, canvas.clientWidth - box.offsetWidth))}px`;
  box.style.top = `${Math.max(0, Math.min(py - 20, canvas.clientHeight - box.offsetHeight))}px`;
}

function hide() {
  if (current >= 0 && marks[current]) marks[current].element.classList.remove("read");
  current = -1;
  box.hidden = true;
}

function step(place) {
  const next = Math.max(0, Math.min(place, marks.length - 1));
  for (const [other, { element }] of marks.entries()) element.setAttribute("tabindex", other === next ? 0 : -1);
  marks[next].element.focus();
}

canvas.addEventListener("keydown", (event) => {
  const focused = marks.findIndex(({ element }) => element === document.activeElement);
  if (focused < 0) return;
  const moves = { ArrowRight: focused + 1, ArrowDown: focused + 1, ArrowLeft: focused - 1, ArrowUp: focused - 1, Home: 0, End: marks.length - 1 };
  if (event.key in moves) {
    event.preventDefault();
    step(moves[event.key]);
  } else if (event.key === "Escape") hide();
});

canvas.addEventListener("pointermove", (event) => {
  const frame = canvas.getBoundingClientRect();
  const [px, py] = [event.clientX - frame.left, event.clientY - frame.top];
  let [nearest, distance] = [-1, 22];
  marks.forEach((mark, place) => {
    const away = Math.hypot(mark.px - px, mark.py - py);
    if (away < distance) [nearest, distance] = [place, away];
  });
  if (nearest >= 0) {
    if (nearest !== current) read(nearest);
  } else if (!canvas.contains(document.activeElement)) hide();
});
canvas.addEventListener("pointerleave", hide);

function chosen() {
  return [data.quantities[pickX.value], data.quantities[pickY.value]];
}

function allowLog(box_, quantity, cells) {
  const positive = cells.every((cell) => quantity.value[cell] > 0);
  box_.disabled = !positive;
  box_.checked = box_.checked && positive;
}

function draw() {
  const [x, y] = chosen();
  const group = pickGroup.value === "" ? null : Number(pickGroup.value);
  const wanted = data.group.map((_, cell) => cell).filter(
    (cell) => (group === null || data.group[cell] === group) && !hidden.has(data.variant[cell]),
  );
  const cells = wanted.filter((cell) => x.value[cell] !== null && y.value[cell] !== null);
  allowLog(logX, x, cells);
  allowLog(logY, y, cells);
  const width = Math.max(canvas.clientWidth, 260);
  const height = Math.round(Math.max(300, Math.min(width * 0.42, 480)));
  const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `${titled(y)} against ${titled(x)}` });
  hide();
  marks = [];
  if (cells.length) {
    const ends = (quantity) => cells.flatMap((cell) => (showIntervals.checked ? estimate(quantity, cell) : [quantity.value[cell]]));
    const known = (values, log) => values.filter((value) => value !== null && (!log || value > 0));
    const across = scale(known(ends(x), logX.checked), logX.checked, PLOT.left, width - PLOT.right);
    const up = scale(known(ends(y), logY.checked), logY.checked, height - PLOT.bottom, PLOT.top);
    drawAxes(svg, x, y, across, up, width, height);
    drawMarks(svg, cells, x, y, across, up);
  }
  canvas.replaceChildren(svg, box);
  const lacking = wanted.length - cells.length;
  const missing = lacking ? ` ${lacking} more have no ${x.title} or no ${y.title}.` : "";
  const dashed = x.better && y.better && cells.length > 1 ? " On the dashed line, the Pareto front, nothing shown is better in both." : "";
  const mixed = group === null && data.groups.length > 1 ? " Settings differ in data, tasks, hardware or machine: compare within one." : "";
  says.value = `${cells.length} cells shown.${missing}${dashed}${mixed}`;
}

function legend() {
  const used = new Set(data.variant);
  data.variants.forEach(([name, colour, marker], number) => {
    if (!used.has(number)) return;
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.append(make("svg", { class: "mark", viewBox: "-6.5 -6.5 13 13", "aria-hidden": "true" }, make("path", { d: outlines[marker], fill: colour })), name);
    button.addEventListener("click", () => {
      const show = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(show));
      if (show) hidden.delete(number);
      else hidden.add(number);
      draw();
    });
    document.getElementById("legend").append(button);
  });
}

if (data.axes.length) {
  data.quantities.forEach((quantity, number) => {
    option(pickX, quantity.title, number);
    option(pickY, quantity.title, number);
  });
  [pickX.value, pickY.value] = data.axes;
  data.groups.forEach((name, number) => option(pickGroup, name, number));
  if (data.groups.length > 1) option(pickGroup, "all settings", "");
  document.getElementById("setting-label").hidden = data.groups.length < 2;
  legend();
  for (const control of [pickX, pickY, pickGroup, logX, logY, showIntervals]) control.addEventListener("input", draw);
  document.documentElement.classList.add("charted");
  new ResizeObserver(draw).observe(canvas);
} else {
  canvas.closest(".live").hidden = true;
}
