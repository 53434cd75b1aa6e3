// LabelEditor: a SceneExplorer with shapes over it that can be edited. Python holds the shapes and what can be undone;
// each edit goes there, and what comes back is shown.

const PATIENCE = 1500; // milliseconds after which it is said that Python has not answered

/** All that an editor holds in the browser, and what its tools do. */
function buildBoard(model, root) {
  const board = {
    model, shapes: new Map(), chosen: null, tool: "choose", draft: [], cursor: null, waiting: new Map(), requests: 0,
    held: null, about: model.get("about"), live: model.get("about").live,
    active: () => model.get("active"),
    layer: (name) => model.get("layers").find((l) => l.name === name),
    redraw: () => {},
  };
  Object.assign(board, {
    /** Sends an edit to Python. */
    send(type, content = {}) {
      if (!board.live) return;
      const request = ++board.requests;
      board.waiting.set(request, type);
      root.dataset.waiting = board.waiting.size;
      board.asked = performance.now();
      setTimeout(board.redraw, PATIENCE + 100);
      model.send({ type, request, ...content });
    },
    choose(number) {
      board.chosen = number;
      root.dataset.chosen = number ?? "";
      board.redraw();
    },
    use(tool) {
      board.tool = tool;
      board.draft = [];
      if (tool !== "choose") board.choose(null);
      root.dataset.tool = tool;
      board.redraw();
    },
    addCorner([col, row]) {
      if (!board.live || (board.tool !== "draw" && board.tool !== "cut")) return;
      // half a side: the fourth corner of a small house lies near its first, and must not close a triangle
      const near = Math.min(REACH * board.view.perPixel(), shortestSide(board.draft) / 2);
      if (board.draft.length >= 6 && !board.drawsLine() && Math.hypot(board.draft[0] - col, board.draft[1] - row) <= near) {
        board.finish();
        return;
      }
      board.draft.push(col, row);
      board.redraw();
    },
    drawsLine: () => board.tool === "draw" && board.layer(board.active()).lines,
    /** Ends what is drawn; too few corners are told by Python. */
    finish() {
      const points = board.draft, layer = board.active();
      board.draft = [];
      if (points.length) board.send(board.tool === "cut" ? "cut" : "add", { layer, points });
      if (board.tool === "cut") board.use("choose");
      board.redraw();
    },
    escape() {
      if (board.draft.length) { board.draft = []; board.redraw(); } else if (board.tool !== "choose") board.use("choose");
      else board.choose(null);
    },
    back() {
      if (board.draft.length) { board.draft.splice(-2); board.redraw(); } else board.remove();
    },
    remove() { if (board.shapes.has(board.chosen)) board.send("delete", { numbers: [board.chosen] }); },
    /** Deletes every shape of the layer that lies wholly in view. */
    clearView() {
      const { canvas, view } = board, [top, left] = view.placeAt(0, 0);
      const [bottom, right] = view.placeAt(canvas.clientWidth, canvas.clientHeight);
      const inside = ([l, t, r, b]) => l >= left && t >= top && r <= right && b <= bottom;
      board.send("delete", { numbers: [...board.shapes]
        .filter(([, s]) => s.layer === board.active() && inside(s.box)).map(([number]) => number) });
    },
    square() { board.send("square", { number: board.chosen ?? -1 }); },
    reshape(rings) { board.send("reshape", { number: board.chosen, rings }); },
    /** Shows the chosen shape otherwise, until Python has heard of it. */
    preview(rings) {
      const shape = board.shapes.get(board.chosen);
      board.held ??= [board.chosen, shape];
      board.shapes.set(board.chosen, shapeOf({ ...shape, rings }, shape.lines));
      board.redraw();
    },
    /** Takes a preview back. */
    forget() {
      if (board.held) board.shapes.set(...board.held);
      board.held = null;
      board.redraw();
    },
    nudge(across, down) {
      const { rings } = board.shapes.get(board.chosen);
      const moved = rings.map((r) => r.map((v, i) => v + (i % 2 ? down : across)));
      board.preview(moved);
      board.reshape(moved);
    },
    middle() { const [row, col] = board.view.now(); return [col, row]; },
    /** Marks what is in view as done. */
    markView() {
      const { canvas, about } = board, [top, left] = board.view.placeAt(0, 0);
      const [bottom, right] = board.view.placeAt(canvas.clientWidth, canvas.clientHeight);
      const [l, r] = [left, right].map((v) => Math.min(Math.max(v, 0), about.columns));
      const [t, b] = [top, bottom].map((v) => Math.min(Math.max(v, 0), about.rows));
      board.send("add", { layer: "done", points: [l, t, r, t, r, b, l, b] });
    },
    /** Goes to the next shape of the layer, from above to below as one reads, and shows it with its surroundings. */
    step(by) {
      const own = [...board.shapes].filter(([, s]) => s.layer === board.active());
      if (!own.length) return;
      const row = (s) => Math.floor(s.box[1] / 64);
      own.sort(([, a], [, b]) => row(a) - row(b) || a.box[0] - b.box[0]);
      const at = own.findIndex(([number]) => number === board.chosen);
      const [number, shape] = own[at < 0 ? (by > 0 ? 0 : own.length - 1) : (at + by + own.length) % own.length];
      if (board.tool !== "choose") board.use("choose");
      board.choose(number);
      board.show(shape.box);
    },
    show([left, top, right, bottom]) {
      const { canvas } = board, form = canvas.clientWidth / Math.max(1, canvas.clientHeight);
      const span = Math.max(96, 4 * (right - left), 4 * (bottom - top) * form);
      board.view.set([(top + bottom) / 2, (left + right) / 2, span]);
    },
    /** Takes what Python says of the shapes. */
    take({ shapes, whole, request }) {
      const mine = board.waiting.get(request);
      board.waiting.delete(request);
      root.dataset.waiting = board.waiting.size;
      board.held = null;
      if (whole) board.shapes.clear();
      for (const [key, shape] of Object.entries(shapes)) {
        const number = Number(key);
        if (shape) board.shapes.set(number, shapeOf(shape, board.layer(shape.layer)?.lines ?? false));
        else board.shapes.delete(number);
        if (mine === "add" && shape && shape.layer === board.active()) board.choose(number);
      }
      if (!board.shapes.has(board.chosen)) board.choose(null);
      root.dataset.shapes = board.shapes.size;
      board.redraw();
    },
  });
  return board;
}

/** Draws the shapes over the scene, in the view that it was just drawn in. */
function drawBoard(board) {
  const { over, canvas, view, model } = board;
  const start = performance.now(), ratio = fitCanvas(over), context = over.getContext("2d");
  const [row, col, span] = view.now(), zoom = over.width / span, pixel = ratio / zoom;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, over.width, over.height);
  if (!canvas.clientWidth || !model.get("show_polygons")) return;
  context.setTransform(zoom, 0, 0, zoom, over.width / 2 - col * zoom, over.height / 2 - row * zoom);
  const [top, left] = view.placeAt(0, 0), [bottom, right] = view.placeAt(canvas.clientWidth, canvas.clientHeight);
  const layers = [...model.get("layers")].sort((a, b) => (a.name === board.active()) - (b.name === board.active()));
  for (const layer of layers) {
    drawLayer(context, board.shapes, layer, [left, top, right, bottom], pixel, layer.name === board.active());
  }
  const chosen = board.shapes.get(board.chosen);
  if (chosen) drawChosen(context, chosen, pixel);
  const drawing = board.tool === "draw" || board.tool === "cut";
  drawDraft(context, board.draft, drawing ? board.cursor : null, board.drawsLine(), pixel);
  over.dataset.frame = (performance.now() - start).toFixed(1);
}

// ---- the bar and the line below

/** The tools, and the buttons that do at once what they say. */
function buildTools(model, board) {
  const tools = [["choose", "choose", "choose and move shapes (v)"], ["draw", "draw", "draw a shape, corner by corner (d)"],
    ["cut", "cut", "cut a part out of shapes (c)"], ["done", "done", "drag a rectangle over what is labelled completely (m)"]];
  const again = (action) => () => { action(); board.canvas.focus({ preventScroll: true }); };
  const press = tools.map(([tool, text, title]) => {
    const key = button(text, title, again(() => board.use(tool)));
    key.dataset.tool = tool;
    return key;
  });
  const undo = button("↶", "undo (Ctrl+Z)", again(() => board.send("undo")));
  const redo = button("↷", "redo (Ctrl+Shift+Z)", again(() => board.send("redo")));
  const others = [button("delete", "delete the chosen shape (Delete)", again(board.remove)),
    button("clear view", "delete all shapes of the layer in view (Shift+Delete)", again(board.clearView)),
    button("right angles", "make the corners of the chosen shape right (r)", again(board.square)), undo, redo,
    button("◂", "previous shape (p)", again(() => board.step(-1))), button("▸", "next shape (n)", again(() => board.step(1)))];
  const names = model.get("layers").map((l) => [l.name, l.name === "done" ? "done area" : l.name]);
  const bar = h("div", { class: "jn-bar jn-labelbar" }, choice(model, "active", "edit", names),
    h("span", { class: "jn-field", role: "group", "aria-label": "tool" }, ...press), ...others, toggle(model, "show_polygons", "shapes"));
  const show = () => {
    for (const key of press) key.setAttribute("aria-pressed", String(key.dataset.tool === board.tool));
    undo.disabled = !model.get("steps").undo;
    redo.disabled = !model.get("steps").redo;
  };
  return { bar, show };
}

const HINTS = {
  choose: "Click a shape to choose it; drag its corners, its edges or all of it; a double click takes a corner out.",
  draw: "Click corner after corner; Enter or the first corner closes, Backspace takes one back. Shift: right angles, Alt: no snapping.",
  cut: "Click around what is to be cut out of the shapes, then Enter.",
  done: "Drag a rectangle over ground where nothing is missing. Only there do pixels count in training. Key f marks all in view.",
};

/** What is there, how much is done, and where it is kept. */
function buildWords(model, board) {
  const legend = h("span", { class: "jn-labelcount", "aria-live": "polite" }), said = h("span", { "aria-live": "polite" });
  const hint = h("div", { class: "jn-sentence jn-quiet" });
  const show = () => {
    const { counts, done } = model.get("steps");
    fillLegend(legend, model.get("layers").map((l) => [l.colour,
      l.name === "done" ? `${(100 * done).toFixed(1)} % done` : `${counts[l.name]} ${l.name}`]));
    const waits = board.waiting.size && performance.now() - board.asked > PATIENCE;
    said.textContent = waits ? `Python is busy; edits that wait for it: ${board.waiting.size}` : model.get("said");
    hint.textContent = board.live ? HINTS[board.tool] : "Without Python nothing is kept, so that shapes can only be looked at.";
  };
  return { line: h("div", { class: "jn-foot" }, legend, said), hint, show };
}

// ---- the editor

async function renderLabels({ model, el }) {
  const root = h("div", { class: "jn jn-labels", "data-ready": "false", "data-tool": "choose",
    "data-lm-suppress-shortcuts": "true" });
  const board = buildBoard(model, root);
  const tools = buildTools(model, board), words = buildWords(model, board), place = h("div", { class: "jn-view" });
  root.append(tools.bar, words.hint, place, words.line);
  el.append(root);
  const holder = sceneHolder(model, place);
  await holder.show();
  const stage = place.querySelector(".jn-stage"), canvas = stage.querySelector("canvas");
  const over = h("canvas", { class: "jn-over", "aria-hidden": "true" });
  canvas.after(over);
  Object.assign(board, { stage, canvas, over, view: new View(model, canvas, board.about) });
  board.redraw = oncePerFrame(() => { drawBoard(board); tools.show(); words.show(); });
  const hear = (message) => { if (message.type === "shapes") board.take(message); };
  stage.addEventListener("drawn", () => drawBoard(board));
  editedByPointers(board);
  editedByKeys(board, root);
  for (const trait of ["steps", "said", "active", "layers", "show_polygons"]) model.on(`change:${trait}`, board.redraw);
  model.on("change:active", () => { board.draft = []; board.choose(null); });
  model.on("msg:custom", hear);
  if (board.live) model.send({ type: "open" });
  else board.take({ shapes: model.get("shapes"), whole: true });
  board.redraw();
  root.dataset.ready = "true";
  return () => { holder.release(); model.off("msg:custom", hear); };
}

export default { render: renderLabels };
