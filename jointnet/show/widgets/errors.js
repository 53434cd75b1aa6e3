// ErrorExplorer: a table of errors beside a SceneExplorer. A row that is chosen is flown to; another scene is asked of
// Python, or taken from the page.

/** The rows in the order of a column, those without a value last. */
function sorted(rows, column, descending) {
  if (!column) return rows;
  const value = (row) => (column === "note" ? row.note : row.cells[column]);
  const known = rows.filter((r) => value(r) !== null && value(r) !== undefined);
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  known.sort((a, b) => (descending ? -1 : 1) * compare(value(a), value(b)));
  return [...known, ...rows.filter((r) => value(r) === null || value(r) === undefined)];
}

/** True of columns that hold words; numbers have a number of digits. */
const isText = (column) => column.digits === null || column.name === "note";

// ---- the table

/** The table of errors: {table, body, scroller, headings, lines}, its lines by the id of their error. */
function buildTable(model, choose) {
  const rows = model.get("rows"), columns = model.get("columns");
  const headings = [...columns, { name: "note", label: "note" }].map((column) => buildHeading(model, column));
  const lines = new Map(rows.map((row) => [row.id, buildLine(row, columns, choose)]));
  const body = h("tbody");
  const table = h("table", { class: "jn-table jn-errors", role: "grid", "aria-label": "errors" },
    h("thead", {}, h("tr", {}, ...headings.map((x) => x.cell))), body);
  return { table, body, headings, lines, scroller: h("div", { class: "jn-scroller" }, table) };
}

/** A heading that sorts by its column, numbers from the largest down, and turns the order when it is pressed again. */
function buildHeading(model, column) {
  const sort = () => {
    const again = model.get("sort_by") === column.name;
    model.set("descending", again ? !model.get("descending") : !isText(column));
    model.set("sort_by", column.name);
    model.save_changes();
  };
  const cell = h("th", { scope: "col", class: isText(column) ? "jn-left" : null },
    h("button", { type: "button", class: "jn-sort", onclick: sort }, column.label,
      h("span", { "aria-hidden": "true", class: "jn-arrow" })));
  return { column, cell };
}

/** A line of the table, and its cell in which a note is marked. */
function buildLine(row, columns, choose) {
  const format = (value, digits) => (value === null ? "–" : digits === null ? value : Number(value).toFixed(digits));
  const mark = h("td", { role: "gridcell", class: "jn-left" });
  const line = h("tr", { "data-id": row.id, tabindex: -1, role: "row", "data-lm-suppress-shortcuts": "true",
    onclick: () => choose(row.id, true) },
  ...columns.map((c) => h("td", { role: "gridcell", class: c.digits === null ? "jn-left" : null },
    format(row.cells[c.name], c.digits))), mark);
  return { line, mark };
}

/** Puts the lines of the rows into the table in their order, and shows in the headings which order that is. */
function fillTable(model, { body, headings, lines }, rows) {
  body.replaceChildren(...rows.map((row) => lines.get(row.id).line));
  for (const { column, cell } of headings) {
    const active = column.name === model.get("sort_by"), down = model.get("descending");
    cell.setAttribute("aria-sort", active ? (down ? "descending" : "ascending") : "none");
    cell.querySelector(".jn-arrow").textContent = active ? (down ? " ▾" : " ▴") : "";
  }
}

/** Marks the line that is chosen; without one, the first can be reached by Tab. */
function markChosen({ lines }, selected, tabbed) {
  for (const [id, { line }] of lines) {
    line.setAttribute("aria-selected", String(id === selected));
    line.tabIndex = id === tabbed ? 0 : -1;
  }
}

/** Scrolls the table, and nothing else, until the line of an error is seen. */
function bringIntoSight({ table, scroller, lines }, id) {
  const line = lines.get(id)?.line;
  if (!line || !line.isConnected) return;
  const top = line.offsetTop - table.tHead.offsetHeight, bottom = line.offsetTop + line.offsetHeight;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (bottom > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = bottom - scroller.clientHeight;
}

// ---- notes

/** The field in which the reader writes: {notes, show, turn}; `turn` shows the note of another error. */
function buildNotes(model, lines) {
  const id = `jn-note-${++labelCount}`;
  const field = h("textarea", { id, rows: 2, class: "jn-note-text", "data-lm-suppress-shortcuts": "true" });
  const save = afterRest(() => model.save_changes(), 300);
  const present = () => model.get("notes")[model.get("selected")] || "";
  field.addEventListener("input", () => {
    const { [model.get("selected")]: _before, ...notes } = model.get("notes");
    model.set("notes", field.value.trim() ? { ...notes, [model.get("selected")]: field.value } : notes);
    save();
  });
  const show = () => {
    markNotes(lines, model.get("notes"));
    if (field.value !== present() && field.getRootNode().activeElement !== field) field.value = present();
  };
  const turn = () => { show(); field.value = present(); };
  const notes = h("div", { class: "jn-notes" }, h("label", { for: id }, "note"), field,
    h("div", { class: "jn-noteline" }, ...whereNotesGo(model)));
  return { notes, show, turn };
}

/** What is said under the field: the file that keeps the notes; in a page without Python, a button that saves them. */
function whereNotesGo(model) {
  const alone = Object.keys(model.get("packs")).length > 0;
  const kept = model.get("notes_place") ? `kept in ${model.get("notes_place")}` : "save_notes(path) writes the notes to a file";
  const save = () => saveGeoJson(model.get("rows"), model.get("notes"));
  return [h("span", { class: "jn-quiet" }, alone ? "" : kept),
    alone ? button("save notes", "save the notes as GeoJSON", save) : null];
}

/** Marks the lines whose error has a note. */
function markNotes(lines, notes) {
  for (const [id, { mark }] of lines) {
    mark.textContent = notes[id] ? "✎" : "";
    mark.title = notes[id] || "";
    mark.setAttribute("aria-label", notes[id] ? `note: ${notes[id]}` : "");
  }
}

/** Hands the notes to the reader as a GeoJSON file of points; without a georeference they lie in pixels. */
function saveGeoJson(rows, notes) {
  const features = rows.filter((row) => notes[row.id]).map((row) => ({
    type: "Feature",
    properties: { id: row.id, scene: row.scene, ...row.cells, row: row.row, col: row.col, note: notes[row.id] },
    geometry: { type: "Point", coordinates: row.place || [row.col, row.row] },
  }));
  const url = URL.createObjectURL(new Blob([JSON.stringify({ type: "FeatureCollection", features }, null, 1)],
    { type: "application/geo+json" }));
  h("a", { href: url, download: "notes.geojson" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// ---- the scene beside the table

/** The view in which an error fills a third of the canvas, as far as the scene allows. */
function viewOf(box, about, canvas) {
  const [top, left, height, width] = box;
  const whole = 1.02 * Math.max(about.columns, about.rows * canvas.clientWidth / Math.max(1, canvas.clientHeight));
  const span = Math.min(Math.max(96, 3 * Math.max(height, width)), Math.max(96, whole));
  return [top + height / 2, left + width / 2, span];
}

/** A function that moves the view to a target, at once or in a third of a second; a new flight ends the last one. */
function flights(model) {
  let frame = null;
  return (target, slowly, land) => {
    const from = model.get("view");
    const calm = !slowly || from.length !== 3 || window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const arrive = () => { model.set("view", target); model.save_changes(); land(); };
    cancelAnimationFrame(frame);
    if (calm) { arrive(); return; }
    const began = performance.now();
    const advance = (now) => {
      const way = Math.min((now - began) / 350, 1), eased = way * way * (3 - 2 * way);
      if (way >= 1) { arrive(); return; }
      const middle = [0, 1].map((i) => from[i] + (target[i] - from[i]) * eased);
      model.set("view", [...middle, from[2] * (target[2] / from[2]) ** eased]);
      frame = requestAnimationFrame(advance);
    };
    frame = requestAnimationFrame(advance);
  };
}

/** Lays a frame around the box of an error, a little outside of it. */
function frameBox(mark, box, canvas, { view, perPixel }) {
  const [top, left, height, width] = box, margin = 4;
  mark.style.left = `${canvas.clientWidth / 2 + (left - view[1]) / perPixel - margin}px`;
  mark.style.top = `${canvas.clientHeight / 2 + (top - view[0]) / perPixel - margin}px`;
  mark.style.width = `${width / perPixel + 2 * margin}px`;
  mark.style.height = `${height / perPixel + 2 * margin}px`;
}

/** The half that shows the scene of the chosen error: {place, show, fly, release}. */
function buildSceneHalf(model, root, chosen) {
  const inside = h("div"), busy = h("div", { class: "jn-card jn-busy", role: "status", hidden: true });
  const place = h("div", { class: "jn-half jn-view" }, inside, busy);
  const mark = h("div", { class: "jn-mark-box", hidden: true });
  const holder = sceneHolder(model, inside), flyTo = flights(model);
  const canvas = () => place.querySelector(".jn-stage > canvas");
  const isHere = (error) => error.scene === model.get("about").name;
  const follow = (event) => {
    const error = chosen();
    mark.hidden = !error || !isHere(error);
    if (!mark.hidden && canvas()) frameBox(mark, error.box, canvas(), event.detail);
  };
  const wait = (name) => {
    busy.hidden = !name;
    busy.textContent = name ? `loading ${name} …` : "";
    place.setAttribute("aria-busy", String(Boolean(name)));
    if (name) mark.hidden = true; // it frames the error that was looked at before
  };
  const fly = (slowly = true) => {
    const error = chosen();
    if (!error) return;
    wait(isHere(error) ? "" : error.scene);
    if (isHere(error)) flyTo(viewOf(error.box, model.get("about"), canvas()), slowly, () => { root.dataset.at = error.id; });
    else askForScene(model, error.scene);
  };
  model.on("change:error", () => { if (model.get("error")) wait(""); }); // what was asked for does not come
  const show = async () => {
    if (!await holder.show()) return;
    const stage = place.querySelector(".jn-stage");
    stage.append(mark);
    stage.addEventListener("drawn", follow);
    root.dataset.scene = model.get("about").name;
    fly(false);
  };
  return { place, show, fly, release: holder.release };
}

/** Asks Python for another scene, or takes it from the page. */
function askForScene(model, name) {
  const pack = model.get("packs")[name];
  if (pack) setAll(model, unpack(pack));
  else model.send({ type: "scene", scene: name });
}

// ---- the explorer

async function renderErrors({ model, el }) {
  const root = h("div", { class: "jn jn-error-explorer", "data-ready": "false", "data-lm-suppress-shortcuts": "true" });
  const rows = model.get("rows"), byId = new Map(rows.map((row) => [row.id, row]));
  const half = buildSceneHalf(model, root, () => byId.get(model.get("selected")));
  let shown = [];

  const choose = (id, focus = false) => {
    if (!byId.has(id)) return;
    if (model.get("selected") !== id) { model.set("selected", id); model.save_changes(); } else half.fly();
    if (focus) table.lines.get(id).line.focus({ preventScroll: true });
  };
  const step = (by, focus = false) => {
    const at = shown.findIndex((row) => row.id === model.get("selected"));
    const next = shown[at < 0 ? 0 : Math.min(Math.max(at + by, 0), shown.length - 1)];
    if (next) choose(next.id, focus);
  };
  const table = buildTable(model, choose);
  const notes = buildNotes(model, table.lines);
  const words = buildErrorWords(model, byId);
  const describe = () => words.show(shown, table);
  const arrange = () => {
    shown = rowsShown(model);
    fillTable(model, table, shown);
    describe();
  };
  const seek = () => bringIntoSight(table, model.get("selected"));

  const left = h("div", { class: "jn-half jn-list" }, buildErrorBar(model, step, words.count), table.scroller,
    words.sentence, notes.notes);
  root.append(h("div", { class: "jn-split" }, left, half.place));
  el.append(root);
  steppedByKeys(root, table.body, step, half.fly);
  model.on("change:selected", () => { describe(); notes.turn(); seek(); half.fly(); });
  for (const trait of ["sort_by", "descending", "only"]) model.on(`change:${trait}`, () => { arrange(); seek(); });
  model.on("change:notes", notes.show);
  model.on("change:about", half.show);
  notes.show();
  arrange();
  await half.show();
  root.dataset.ready = "true";
  return half.release;
}

/** The rows of the kind that is looked at, in the order that is asked for. */
function rowsShown(model) {
  const notes = model.get("notes"), only = model.get("only");
  const noted = model.get("rows").map((row) => ({ ...row, note: notes[row.id] || null }));
  return sorted(noted.filter((r) => only === "all" || r.kind === only), model.get("sort_by"), model.get("descending"));
}

/** The bar over the table: a step back and forth, and the kinds of error to choose from. */
function buildErrorBar(model, step, count) {
  const kinds = [...new Set(model.get("rows").map((r) => r.kind))].filter(Boolean);
  return h("div", { class: "jn-bar" },
    button("◂", "previous error (p)", () => step(-1)), button("▸", "next error (n)", () => step(1)),
    kinds.length > 1 ? choice(model, "only", "kind", [["all", "all kinds"], ...kinds.map((k) => [k, k])]) : null, count);
}

/** What is said of the error that is chosen, and which of how many it is. */
function buildErrorWords(model, byId) {
  const sentence = h("p", { class: "jn-sentence", "aria-live": "polite" });
  const count = h("span", { class: "jn-count", "aria-live": "polite" });
  const several = new Set(model.get("rows").map((r) => r.scene)).size > 1;
  const show = (shown, table) => {
    const selected = model.get("selected"), chosen = byId.get(selected);
    const at = shown.findIndex((row) => row.id === selected);
    const place = at < 0 ? `${shown.length} errors` : `${at + 1} of ${shown.length}`;
    count.textContent = [place, model.get("made_at")].filter(Boolean).join(", ");
    markChosen(table, selected, at < 0 && shown.length ? shown[0].id : selected);
    sentence.textContent = chosen ? `${several ? `${chosen.scene}, ` : ""}${chosen.says}` : "";
  };
  return { sentence, count, show };
}

/** Lets n and p step anywhere inside, and arrows, pages, Home and End in the table; Enter and space fly there. */
function steppedByKeys(root, body, step, fly) {
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("textarea, select, input")) return;
    const inTable = body.contains(event.target);
    const moves = { n: 1, p: -1, ...(inTable ? { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e9, End: 1e9 } : {}) };
    if (event.key in moves) step(moves[event.key], inTable);
    else if (inTable && (event.key === "Enter" || event.key === " ")) fly();
    else return;
    swallow(event);
  });
}

export default { render: renderErrors };
