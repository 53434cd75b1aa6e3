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

async function renderErrors({ model, el }) {
  const rows = model.get("rows"), columns = model.get("columns");
  const place = new Map(rows.map((row) => [row.id, row]));
  const kinds = [...new Set(rows.map((r) => r.kind))].filter(Boolean);
  const several = new Set(rows.map((r) => r.scene)).size > 1;

  // ---- the table
  const headings = [...columns, { name: "note", label: "note" }].map((column) => {
    const cell = h("th", { scope: "col", class: column.digits === null || column.name === "note" ? "jn-left" : null });
    const sort = h("button", { type: "button", class: "jn-sort", onclick: () => {
      const again = model.get("sort_by") === column.name;
      model.set("descending", again ? !model.get("descending") : column.digits !== null && column.name !== "note");
      model.set("sort_by", column.name);
      model.save_changes();
    } }, column.label, h("span", { "aria-hidden": "true", class: "jn-arrow" }));
    cell.append(sort);
    return { column, cell };
  });
  const body = h("tbody");
  const table = h("table", { class: "jn-table jn-errors", role: "grid", "aria-label": "errors" },
    h("thead", {}, h("tr", {}, ...headings.map((x) => x.cell))), body);
  const format = (value, digits) => (value === null ? "–" : digits === null ? value : Number(value).toFixed(digits));
  const lines = new Map(rows.map((row) => {
    const mark = h("td", { role: "gridcell", class: "jn-left" });
    const line = h("tr", { "data-id": row.id, tabindex: -1, role: "row", "data-lm-suppress-shortcuts": "true",
      onclick: () => choose(row.id, true) },
    ...columns.map((c) => h("td", { role: "gridcell", class: c.digits === null ? "jn-left" : null },
      format(row.cells[c.name], c.digits))), mark);
    return [row.id, { line, mark }];
  }));
  const scroller = h("div", { class: "jn-scroller" }, table);

  // ---- what is said about the one that is chosen, and what the reader says
  const sentence = h("p", { class: "jn-sentence", "aria-live": "polite" });
  const noteId = `jn-note-${++labelCount}`;
  const note = h("textarea", { id: noteId, rows: 2, class: "jn-note-text", "data-lm-suppress-shortcuts": "true" });
  const saveNote = afterRest(() => model.save_changes(), 300);
  note.addEventListener("input", () => {
    const notes = { ...model.get("notes") };
    if (note.value.trim()) notes[model.get("selected")] = note.value;
    else delete notes[model.get("selected")];
    model.set("notes", notes);
    saveNote();
  });
  const packs = model.get("packs");
  const alone = Object.keys(packs).length > 0; // a page without Python
  const kept = h("span", { class: "jn-quiet" }, alone ? "" : model.get("notes_place")
    ? `kept in ${model.get("notes_place")}` : "save_notes(path) writes the notes to a file");
  const download = alone ? button("save notes", "save the notes as GeoJSON", () => saveGeoJson(rows, model.get("notes"))) : null;
  const count = h("span", { class: "jn-count", "aria-live": "polite" });
  const bar = h("div", { class: "jn-bar" },
    button("◂", "previous error (p)", () => step(-1)), button("▸", "next error (n)", () => step(1)),
    kinds.length > 1 ? choice(model, "only", "kind", [["all", "all kinds"], ...kinds.map((k) => [k, k])]) : null, count);
  const left = h("div", { class: "jn-half jn-list" }, bar, scroller, sentence,
    h("div", { class: "jn-notes" }, h("label", { for: noteId }, "note"), note, h("div", { class: "jn-noteline" }, kept, download)));
  const right = h("div", { class: "jn-half jn-view" });
  const root = h("div", { class: "jn jn-error-explorer", "data-ready": "false", "data-lm-suppress-shortcuts": "true" },
    h("div", { class: "jn-split" }, left, right));
  el.append(root);

  // ---- order, choice, steps
  let shown = [];
  function arrange() {
    const notes = model.get("notes"), only = model.get("only");
    const all = rows.map((row) => ({ ...row, note: notes[row.id] || null }));
    shown = sorted(all.filter((r) => only === "all" || r.kind === only), model.get("sort_by"), model.get("descending"));
    body.replaceChildren(...shown.map((row) => lines.get(row.id).line));
    for (const { column, cell } of headings) {
      const active = column.name === model.get("sort_by");
      cell.setAttribute("aria-sort", active ? (model.get("descending") ? "descending" : "ascending") : "none");
      cell.querySelector(".jn-arrow").textContent = active ? (model.get("descending") ? " ▾" : " ▴") : "";
    }
    describe();
  }
  function choose(id, focus = false) {
    if (!place.has(id)) return;
    if (model.get("selected") !== id) { model.set("selected", id); model.save_changes(); } else fly();
    if (focus) lines.get(id).line.focus({ preventScroll: true });
  }
  function step(by, focus = false) {
    const at = shown.findIndex((row) => row.id === model.get("selected"));
    const next = shown[at < 0 ? 0 : Math.min(Math.max(at + by, 0), shown.length - 1)];
    if (next) choose(next.id, focus);
  }
  function describe() {
    const chosen = place.get(model.get("selected"));
    const at = shown.findIndex((row) => row.id === model.get("selected"));
    const of = at < 0 ? `${shown.length} errors` : `${at + 1} of ${shown.length}`;
    count.textContent = [of, model.get("made_at")].filter(Boolean).join(", ");
    const tabbed = at < 0 && shown.length ? shown[0].id : model.get("selected");
    for (const [id, { line }] of lines) {
      line.setAttribute("aria-selected", String(id === model.get("selected")));
      line.tabIndex = id === tabbed ? 0 : -1;
    }
    sentence.textContent = chosen ? `${several ? `${chosen.scene}, ` : ""}${chosen.says}` : "";
  }
  function showNotes() {
    const notes = model.get("notes");
    for (const [id, { mark }] of lines) {
      mark.textContent = notes[id] ? "✎" : "";
      mark.title = notes[id] || "";
      mark.setAttribute("aria-label", notes[id] ? `note: ${notes[id]}` : "");
    }
    const text = notes[model.get("selected")] || "";
    if (note.value !== text && note.getRootNode().activeElement !== note) note.value = text;
  }
  function bringIntoSight() {
    const line = lines.get(model.get("selected"))?.line;
    if (!line || !line.isConnected) return;
    const top = line.offsetTop - table.tHead.offsetHeight, bottom = line.offsetTop + line.offsetHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (bottom > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = bottom - scroller.clientHeight;
  }
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("textarea, select, input")) return;
    const inTable = body.contains(event.target);
    const moves = { n: 1, p: -1, ...(inTable ? { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e9, End: 1e9 } : {}) };
    if (event.key in moves) step(moves[event.key], inTable);
    else if (inTable && (event.key === "Enter" || event.key === " ")) fly();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  // ---- the scene
  let scene = null, frame = null, ending = null;
  const mark = h("div", { class: "jn-mark-box", hidden: true });
  function follow(view, perPixel) {
    const chosen = place.get(model.get("selected"));
    const canvas = right.querySelector(".jn-stage > canvas");
    mark.hidden = !chosen || chosen.scene !== model.get("about").name;
    if (mark.hidden || !canvas) return;
    const [top, left, height, width] = chosen.box;
    const margin = 4;
    mark.style.left = `${canvas.clientWidth / 2 + (left - view[1]) / perPixel - margin}px`;
    mark.style.top = `${canvas.clientHeight / 2 + (top - view[0]) / perPixel - margin}px`;
    mark.style.width = `${width / perPixel + 2 * margin}px`;
    mark.style.height = `${height / perPixel + 2 * margin}px`;
  }
  async function showScene() {
    const mine = scoped(model);
    const before = scene;
    scene = mine;
    before?.release();
    ending?.();
    ending = null;
    const holder = h("div");
    right.replaceChildren(holder);
    const end = await renderScene({ model: mine, el: holder });
    if (scene !== mine) { end(); mine.release(); return; } // another one was chosen meanwhile
    ending = end;
    const stage = holder.querySelector(".jn-stage");
    stage.append(mark);
    stage.addEventListener("drawn", (event) => follow(event.detail.view, event.detail.perPixel));
    root.dataset.scene = model.get("about").name;
    fly(false);
  }
  function askFor(name) {
    if (!packs[name]) { model.send({ kind: "scene", scene: name }); return; }
    for (const [trait, value] of Object.entries(packs[name])) {
      const binary = ["image", "probability", "truth", "points", "ends"].includes(trait);
      model.set(trait, binary ? new DataView(Uint8Array.from(atob(value), (c) => c.charCodeAt(0)).buffer) : value);
    }
  }
  function fly(slowly = true) {
    const chosen = place.get(model.get("selected"));
    if (!chosen) return;
    if (chosen.scene !== model.get("about").name) { askFor(chosen.scene); return; }
    const [top, left, height, width] = chosen.box;
    const { rows: lines, columns: across } = model.get("about");
    const canvas = right.querySelector(".jn-stage > canvas");
    const whole = 1.02 * Math.max(across, lines * canvas.clientWidth / Math.max(1, canvas.clientHeight));
    const span = Math.min(Math.max(96, 3 * Math.max(height, width)), Math.max(96, whole));
    const target = [top + height / 2, left + width / 2, span];
    const from = model.get("view");
    const calm = !slowly || from.length !== 3 || window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    cancelAnimationFrame(frame);
    const land = () => { model.set("view", target); model.save_changes(); root.dataset.at = chosen.id; };
    if (calm) { land(); return; }
    const began = performance.now();
    const advance = (now) => {
      const way = Math.min((now - began) / 350, 1), eased = way * way * (3 - 2 * way);
      if (way >= 1) { land(); return; }
      model.set("view", [0, 1].map((i) => from[i] + (target[i] - from[i]) * eased)
        .concat(from[2] * (target[2] / from[2]) ** eased));
      frame = requestAnimationFrame(advance);
    };
    frame = requestAnimationFrame(advance);
  }

  model.on("change:selected", () => { describe(); showNotes(); note.value = model.get("notes")[model.get("selected")] || ""; bringIntoSight(); fly(); });
  for (const trait of ["sort_by", "descending", "only"]) model.on(`change:${trait}`, () => { arrange(); bringIntoSight(); });
  model.on("change:notes", showNotes);
  model.on("change:about", showScene);
  showNotes();
  arrange();
  await showScene();
  root.dataset.ready = "true";
  return () => { scene?.release(); ending?.(); };
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

export default { render: renderErrors };
