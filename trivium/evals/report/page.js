"use strict";
// All text of models and data becomes text nodes; nothing here builds markup from a string.

const layout = JSON.parse(document.getElementById("layout").textContent);
const SHOWN = 50;
const KINDS = { u4: Uint32Array, i4: Int32Array, f4: Float32Array, u2: Uint16Array, u1: Uint8Array };
const column = {};
const pieces = new Map();
let ids = [];
let found = new Uint32Array(0);
let at = 0;
let order = { key: "index", down: false };
let search = 0;

function make(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

async function unpack(id) {
  const text = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

async function piece(id) {
  if (!pieces.has(id)) {
    pieces.set(id, unpack(id).then((data) => JSON.parse(new TextDecoder().decode(data))));
    if (pieces.size > 60) pieces.delete(pieces.keys().next().value);
  }
  return pieces.get(id);
}

async function textOf(index) {
  const list = await piece("t" + Math.floor(index / layout.piece));
  const [output, error, choices] = list[index % layout.piece];
  return { output, error, choices };
}

async function rowOf(index) {
  const row = column.row[index];
  const list = await piece("r" + Math.floor(row / layout.piece));
  const [inputs, target] = list[row % layout.piece];
  return { id: ids[row], inputs, target };
}

function cellOf(index) {
  return layout.cells[column.run[index]][column.cell[index]];
}

function plain(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function number(value) {
  return Number.isNaN(value) ? "–" : String(Number(value.toPrecision(4)));
}

function answer(text) {
  if (text.error !== null) return text.error;
  if (text.output !== null) return text.output;
  if (!text.choices.length) return "";
  return text.choices.reduce((best, one) => (one[1] > best[1] ? one : best))[0];
}

// -- filters --------------------------------------------------------------------------------------

function option(value, text) {
  return make("option", { value }, text);
}

function select(name, label, options) {
  return make("select", { name, "aria-label": label }, ...options);
}

function buildFilters() {
  const form = document.getElementById("filters");
  const cells = layout.cells.flatMap((list, run) => list.map((cell, i) => option(
    run + "," + i, (layout.runs.length > 1 ? "AB"[run] + ": " : "") + cell.join(" · "))));
  form.append(
    make("input", { type: "search", name: "text", placeholder: "Search rows and outputs", "aria-label": "Search" }),
    select("cell", "Cell", [option("", "every cell"), ...cells]),
    select("state", "State", [option("", "every state"), option("well", "with a result"), option("failed", "failed"), option("cut", "cut short")]),
  );
  if (layout.metrics.length) {
    form.append(
      select("metric", "Metric", layout.metrics.map((name, i) => option(i, name))),
      make("input", { type: "number", step: "any", name: "from", placeholder: "from", "aria-label": "Metric from" }),
      make("input", { type: "number", step: "any", name: "to", placeholder: "to", "aria-label": "Metric to" }),
    );
    if (column.pair.some((value) => value >= 0)) {
      form.append(select("change", "Change", [option("", "any change"), option("up", "B above A"), option("down", "B below A"), option("differs", "differs"), option("same", "equal")]));
    }
  }
  form.append(make("button", { type: "reset" }, "Clear"));
  let timer = 0;
  const later = () => { clearTimeout(timer); timer = setTimeout(apply, 200); };
  form.addEventListener("input", later);
  form.addEventListener("reset", later);
  form.addEventListener("submit", (event) => { event.preventDefault(); apply(); });
}

function keeper() {
  const values = Object.fromEntries(new FormData(document.getElementById("filters")));
  const scores = layout.metrics.length ? column["m" + values.metric] : null;
  const tests = [];
  if (values.cell) {
    const [run, cell] = values.cell.split(",").map(Number);
    tests.push((i) => column.run[i] === run && column.cell[i] === cell);
  }
  if (values.state === "well") tests.push((i) => !(column.flags[i] & 1));
  if (values.state === "failed") tests.push((i) => column.flags[i] & 1);
  if (values.state === "cut") tests.push((i) => column.flags[i] & 2);
  if (values.from) tests.push((i) => scores[i] >= Number(values.from) - 1e-6);
  if (values.to) tests.push((i) => scores[i] <= Number(values.to) + 1e-6);
  if (values.change) {
    // a pair is shown once, at its B side
    const side = (i) => column.pair[i] >= 0 && (layout.runs.length === 1 || column.run[i] === 1);
    const gap = (i) => scores[i] - scores[column.pair[i]];
    const holds = { up: (g) => g > 0, down: (g) => g < 0, differs: (g) => g !== 0 && !Number.isNaN(g), same: (g) => g === 0 }[values.change];
    tests.push((i) => side(i) && holds(gap(i)));
  }
  return { keep: (i) => tests.every((test) => test(i)), text: (values.text || "").toLowerCase() };
}

async function apply() {
  const mine = ++search;
  const { keep, text } = keeper();
  let list = [];
  for (let i = 0; i < layout.count; i++) if (keep(i)) list.push(i);
  if (text) list = await containing(list, text, mine);
  if (mine !== search) return;
  found = Uint32Array.from(list);
  at = 0;
  sort();
}

async function containing(list, text, mine) {
  const status = document.getElementById("status");
  const rows = new Uint8Array(layout.rows);
  for (let start = 0; start < layout.rows && mine === search; start += layout.piece) {
    const held = await piece("r" + start / layout.piece);
    held.forEach(([inputs, target], i) => {
      rows[start + i] = (ids[start + i] + "\n" + Object.values(inputs).map(plain).join("\n") + "\n" + plain(target)).toLowerCase().includes(text) ? 1 : 0;
    });
  }
  const kept = [];
  for (const i of list) {
    if (mine !== search) return [];
    if (rows[column.row[i]]) { kept.push(i); continue; }
    if (i % layout.piece === 0) status.textContent = `Searching, ${Math.round((i / layout.count) * 100)} %`;
    const one = await cached(i);
    if (answer(one).toLowerCase().includes(text)) kept.push(i);
  }
  return kept;
}

let last = { id: -1, list: null };
function cached(index) {
  // without a promise for each of many records of one piece
  const id = Math.floor(index / layout.piece);
  const pick = () => {
    const [output, error, choices] = last.list[index % layout.piece];
    return { output, error, choices };
  };
  if (last.id === id) return pick();
  return piece("t" + id).then((list) => { last = { id, list }; return pick(); });
}

// -- the table ------------------------------------------------------------------------------------

function columnsShown() {
  const shown = [{ key: "id", title: "row" }];
  if (layout.runs.length > 1) shown.push({ key: "run", title: "run", text: (i) => "AB"[column.run[i]] });
  shown.push({ key: "cell", title: "model · prompt", text: (i) => cellOf(i).join(" · ") });
  if (column.repeat.some((value) => value > 0)) shown.push({ key: "repeat", title: "repeat", n: true });
  layout.metrics.forEach((name, i) => shown.push({ key: "m" + i, title: name, n: true }));
  shown.push({ key: "completion_tokens", title: "tokens", n: true }, { key: "seconds", title: "s", n: true });
  return shown;
}

function sort() {
  if (order.key !== "index") {
    const sign = order.down ? -1 : 1;
    const values = order.key === "id" ? null : column[order.key];
    const ranks = values ? null : rankOfIds();
    const of = values ? (i) => values[i] : (i) => ranks[column.row[i]];
    found.sort((a, b) => {
      const x = of(a), y = of(b);
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
      return sign * (x - y) || a - b;
    });
  } else found.sort();
  show();
}

function rankOfIds() {
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  const sorted = Uint32Array.from(ids.keys()).sort((a, b) => compare(ids[a], ids[b]));
  const ranks = new Uint32Array(ids.length);
  sorted.forEach((row, rank) => { ranks[row] = rank; });
  return ranks;
}

async function show() {
  const mine = search;
  const shown = columnsShown();
  const page = Array.from(found.subarray(at, at + SHOWN));
  const texts = await Promise.all(page.map(textOf));
  if (mine !== search) return;
  document.querySelector("#records thead").replaceChildren(make("tr", {},
    ...shown.map((one) => make("th", {
      class: one.n ? "n" : null, "data-key": one.key, tabindex: 0,
      "aria-sort": order.key === one.key ? (order.down ? "descending" : "ascending") : null,
      onclick: () => { order = { key: one.key, down: order.key === one.key ? !order.down : Boolean(one.n) }; sort(); },
    }, one.title)), make("th", {}, "output")));
  document.querySelector("#records tbody").replaceChildren(...page.map((i, position) => make("tr", {
    tabindex: 0,
    onclick: () => inspect(at + position),
    onkeydown: (event) => { if (event.key === "Enter") inspect(at + position); },
  }, ...shown.map((one) => field(one, i)),
  make("td", { class: column.flags[i] & 1 ? "text bad" : "text", dir: "auto" }, answer(texts[position]).slice(0, 300)))));
  showPager();
}

function field(one, i) {
  if (one.key === "id") return make("td", { class: "id", title: ids[column.row[i]] }, ids[column.row[i]]);
  if (one.text) return make("td", {}, one.text(i));
  return make("td", { class: "n" }, number(column[one.key][i]));
}

function showPager() {
  const total = found.length;
  const turn = (to, text) => make("button", {
    type: "button", disabled: to < 0 || to >= total ? "" : null, onclick: () => { at = to; show(); },
  }, text);
  document.getElementById("status").textContent =
    `${total.toLocaleString("en")} of ${layout.count.toLocaleString("en")} records`;
  const end = Math.floor(Math.max(0, total - 1) / SHOWN) * SHOWN;
  document.getElementById("pager").replaceChildren(
    turn(at ? 0 : -1, "First"), turn(at - SHOWN, "Back"),
    `${total ? (at + 1).toLocaleString("en") : 0} to ${Math.min(at + SHOWN, total).toLocaleString("en")}`,
    turn(at + SHOWN, "Next"), turn(at < end ? end : -1, "Last"));
}

// -- one record -----------------------------------------------------------------------------------

async function inspect(position) {
  const index = found[position];
  const dialog = document.getElementById("inspect");
  const row = await rowOf(index);
  const other = column.pair[index];
  const close = make("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const turn = (to, text) => make("button", {
    type: "button", disabled: to < 0 || to >= found.length ? "" : null, onclick: () => inspect(to),
  }, text);
  const inside = make("div", { class: "inside" },
    ...Object.entries(row.inputs).flatMap(([key, value]) => block(key, plain(value))),
    ...(row.target === null ? [] : block("target", plain(row.target))));
  if (other < 0) inside.append(await side(index, null));
  else {
    const [a, b] = column.run[index] < column.run[other] ? [index, other] : [other, index];
    const texts = await Promise.all([textOf(a), textOf(b)]);
    const [left, right] = differences(answer(texts[0]), answer(texts[1]));
    inside.append(make("div", { class: "two" }, await side(a, left), await side(b, right)));
  }
  dialog.replaceChildren(make("div", { class: "bar" }, make("b", {}, `Row ${row.id}`),
    make("small", {}, `${(position + 1).toLocaleString("en")} of ${found.length.toLocaleString("en")}`),
    turn(position - 1, "Back"), turn(position + 1, "Next"), close), inside);
  dialog.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && position + step >= 0 && position + step < found.length) inspect(position + step);
  };
  if (!dialog.open) dialog.showModal();
}

function block(title, ...content) {
  return [make("h3", {}, title), make("pre", { dir: "auto" }, ...content)];
}

async function side(index, marked) {
  const text = await textOf(index);
  const who = (layout.runs.length > 1 ? "AB"[column.run[index]] + ": " : "") + cellOf(index).join(" · ");
  const scores = layout.metrics.map((name, i) => [name, column["m" + i][index]]).filter(([, value]) => !Number.isNaN(value));
  const facts = [...scores, ["tokens", column.prompt_tokens[index] + column.completion_tokens[index]], ["seconds", column.seconds[index]]];
  if (column.repeat[index]) facts.push(["repeat", column.repeat[index]]);
  const node = make("div", {}, make("h3", {}, who),
    make("p", { class: "scores" }, ...facts.map(([name, value]) => make("span", {}, name + " ", make("b", {}, number(value))))));
  if (text.error !== null) node.append(...block("error", make("span", { class: "bad" }, text.error)));
  else node.append(make("pre", { dir: "auto" }, ...(marked || [answer(text)])));
  if (text.choices.length) {
    node.append(make("table", {}, make("thead", {}, make("tr", {}, make("th", {}, "choice"), make("th", { class: "n" }, "log-probability"), make("th", { class: "n" }, "tokens"))),
      make("tbody", {}, ...text.choices.map(([name, logprob, tokens]) => make("tr", {}, make("td", {}, name), make("td", { class: "n" }, number(logprob)), make("td", { class: "n" }, String(tokens)))))));
  }
  if (column.flags[index] & 2) node.append(make("p", { class: "note warn" }, "This output was cut short."));
  return node;
}

function differences(a, b) {
  const [x, y] = [a.split(/(\s+)/), b.split(/(\s+)/)];
  if (a === b || x.length * y.length > 4e6) return [[a], [b]];
  const width = y.length + 1;
  const longest = new Uint16Array((x.length + 1) * width);
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) {
      longest[i * width + j] = x[i] === y[j] ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const left = [], right = [];
  let i = 0, j = 0;
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) { left.push(x[i++]); right.push(y[j++]); }
    else if (j >= y.length || (i < x.length && longest[(i + 1) * width + j] >= longest[i * width + j + 1])) left.push(make("del", {}, x[i++]));
    else right.push(make("ins", {}, y[j++]));
  }
  return [left, right];
}

// -- small tables ---------------------------------------------------------------------------------

function sortable(table) {
  table.querySelectorAll("th").forEach((head, place) => head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    table.querySelectorAll("th").forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => row.cells[place].dataset.sort ?? row.cells[place].textContent.trim();
    const compare = (a, b) => {
      const [x, y] = [Number.parseFloat(key(a)), Number.parseFloat(key(b))];
      return Number.isNaN(x) || Number.isNaN(y) ? key(a).localeCompare(key(b)) : x - y;
    };
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort((a, b) => (down ? -compare(a, b) : compare(a, b))));
  }));
}

async function start() {
  document.querySelectorAll("table.sortable").forEach(sortable);
  const status = document.getElementById("status");
  if (!layout.count) { status.textContent = "There are no records."; return; }
  if (typeof DecompressionStream === "undefined") {
    status.textContent = "This browser is too old to show the rows: it lacks DecompressionStream.";
    return;
  }
  const data = await unpack("numbers");
  let offset = 0;
  for (const [name, kind] of layout.fields) {
    column[name] = new KINDS[kind](data, offset, layout.count);
    offset += layout.count * KINDS[kind].BYTES_PER_ELEMENT;
  }
  ids = await piece("ids");
  buildFilters();
  await apply();
  console.info(`ready after ${Math.round(performance.now())} ms`);
}

start();
