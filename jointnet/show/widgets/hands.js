// The hands of a LabelEditor: what mouse, touch and keys do with each tool. `board` is what buildBoard in labels.js holds.

const REACH = 9; // CSS pixels within which a corner is meant
const STILL = 4; // CSS pixels that a hand may move in a click

/** Lets a hand on the stage choose, move and draw; what is not meant for a shape moves the view, as in SceneExplorer. */
function editedByPointers(board) {
  const { stage, canvas } = board;
  let drag = null, down = null;
  const placeOf = (event) => { const [row, col] = board.view.placeAt(event.offsetX, event.offsetY); return [col, row]; };
  stage.addEventListener("pointerdown", (event) => {
    if (event.target !== canvas || event.button !== 0 || !event.isPrimary) return;
    down = [event.clientX, event.clientY];
    drag = beginDrag(board, placeOf(event), event);
    if (!drag) return;
    event.stopPropagation();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
  }, true);
  stage.addEventListener("pointermove", (event) => {
    if (event.target !== canvas) return;
    board.cursor = placed(board, placeOf(event), event);
    if (drag) drag.move(placeOf(event), event);
    board.redraw();
  }, true);
  stage.addEventListener("pointerup", (event) => {
    if (!down) return;
    const still = Math.hypot(event.clientX - down[0], event.clientY - down[1]) <= STILL, place = placeOf(event);
    down = null;
    if (drag) { const ended = drag; drag = null; ended.end(still); } else if (still) clicked(board, place, event);
    board.redraw();
  }, true);
  stage.addEventListener("pointercancel", () => { drag = down = null; board.forget(); }, true);
  stage.addEventListener("dblclick", (event) => {
    if (event.target !== canvas) return;
    if (board.draft.length) { swallow(event); board.finish(); } else if (dropCorner(board, placeOf(event))) swallow(event);
  }, true);
  canvas.addEventListener("pointerleave", () => { board.cursor = null; board.redraw(); });
}

/** A place where a new corner goes: on a corner near by, or at a right angle with Shift held; exactly there with Alt. */
function placed(board, place, event) {
  if (event.altKey) return place;
  if (event.shiftKey) return squaredTo(board.draft, place);
  return snapped(board.shapes, board.chosen, place, REACH * board.view.perPixel());
}

/** What a hand that goes down here drags, {move, end}; null where the view is to be moved. */
function beginDrag(board, place, event) {
  if (!board.live) return null;
  if (board.tool === "done") return dragRectangle(board, place);
  const shape = board.shapes.get(board.chosen);
  if (board.tool !== "choose" || !shape) return null;
  const reach = REACH * board.view.perPixel(), corner = nearestCorner(shape, ...place);
  if (corner.apart <= reach) return dragCorner(board, shape, corner);
  const edge = nearestEdge(shape, ...place);
  if (edge.apart <= reach) return dragCorner(board, shape, edge, true);
  return holds(shape, ...place) ? dragWhole(board, shape, place) : null;
}

/** Drags one corner of the chosen shape; with `fresh`, a new one on an edge. */
function dragCorner(board, shape, { ring, at }, fresh = false) {
  const rings = shape.rings.map((r) => [...r]);
  let moved = false;
  return {
    move(place, event) {
      if (fresh && !moved) rings[ring].splice(at, 0, ...place);
      moved = true;
      rings[ring].splice(at, 2, ...placed(board, place, event.shiftKey ? { altKey: true } : event));
      board.preview(rings);
    },
    end(still) { if (moved && !still) board.reshape(rings); else board.forget(); },
  };
}

/** Drags all of the chosen shape. */
function dragWhole(board, shape, from) {
  let rings = null;
  return {
    move([col, row]) {
      rings = shape.rings.map((r) => r.map((v, i) => v + (i % 2 ? row - from[1] : col - from[0])));
      board.preview(rings);
    },
    end(still) { if (rings && !still) board.reshape(rings); else { board.forget(); board.choose(null); } },
  };
}

/** Drags a rectangle that says: in here, every object is labelled. */
function dragRectangle(board, [col, row]) {
  const { rows, columns } = board.about;
  const within = ([x, y]) => [Math.min(Math.max(x, 0), columns), Math.min(Math.max(y, 0), rows)];
  const [left, top] = within([col, row]);
  return {
    move(place) {
      const [x, y] = within(place);
      board.draft = [left, top, x, top, x, y, left, y];
    },
    end(still) {
      const points = board.draft;
      board.draft = [];
      if (!still && points.length) board.send("add", { layer: "done", points });
    },
  };
}

/** A click: a corner of what is drawn, or the choice of a shape. */
function clicked(board, place, event) {
  if (board.tool === "choose" || !board.live) {
    board.choose(shapeAt(board.shapes, board.active(), ...place, REACH * board.view.perPixel()));
  } else if (board.tool !== "done") board.addCorner(placed(board, place, event));
}

/** Takes the corner under a place out of the chosen shape; whether there was one. */
function dropCorner(board, place) {
  const shape = board.shapes.get(board.chosen);
  if (!shape || !board.live || board.tool !== "choose") return false;
  const { ring, at, apart } = nearestCorner(shape, ...place);
  if (apart > REACH * board.view.perPixel()) return holds(shape, ...place);
  const rings = shape.rings.map((r) => [...r]);
  rings[ring].splice(at, 2);
  if (rings[ring].length >= (shape.lines ? 4 : 6)) board.reshape(rings);
  return true;
}

/** Keys anywhere in the editor; arrows, plus, minus and 0 move the view, unless Shift moves the chosen shape. */
function editedByKeys(board, root) {
  const keys = {
    d: () => board.use("draw"), c: () => board.use("cut"), m: () => board.use("done"), v: () => board.use("choose"),
    n: () => board.step(1), p: () => board.step(-1), f: () => board.markView(), r: () => board.square(),
    u: () => board.send("undo"), Enter: () => board.finish(), Escape: () => board.escape(),
    Delete: () => board.remove(), x: () => board.remove(), Backspace: () => board.back(),
    " ": () => board.addCorner(board.middle()),
  };
  root.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea") || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
      swallow(event);
      board.send(key === "y" || event.shiftKey ? "redo" : "undo");
    } else if (event.shiftKey && ARROWS[key] && board.shapes.has(board.chosen)) {
      swallow(event);
      board.nudge(...ARROWS[key]);
    } else if (event.shiftKey && key === "Delete") {
      swallow(event);
      board.clearView();
    } else if (keys[key] && !event.ctrlKey && !event.metaKey) {
      if (event.target.tagName === "BUTTON" && (key === " " || key === "Enter")) return;
      swallow(event);
      keys[key]();
    }
  }, true);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
