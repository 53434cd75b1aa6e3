// Where a canvas looks at a scene, and the hands that move it: mouse, touch pad, touch, keys.

/** The view of a canvas: [row, col, span], the middle and the scene's columns across; kept in the trait `view`. */
class View {
  constructor(model, canvas, about) {
    Object.assign(this, { model, canvas, about, save: afterRest(() => model.save_changes(), 150) });
  }

  /** The view that holds the whole scene. */
  whole() {
    const form = this.canvas.clientWidth / Math.max(1, this.canvas.clientHeight);
    return [this.about.rows / 2, this.about.columns / 2, Math.max(this.about.columns, this.about.rows * form) * 1.02];
  }

  /** The present view; an empty trait means the whole scene. */
  now() {
    const view = this.model.get("view");
    return view.length === 3 ? view : this.whole();
  }

  /** Scene pixels per CSS pixel. */
  perPixel() { return this.now()[2] / this.canvas.clientWidth; }

  /** The (row, col) of the scene under a place of the canvas, in CSS pixels. */
  placeAt(x, y) {
    const [row, col] = this.now(), scale = this.perPixel();
    return [row + (y - this.canvas.clientHeight / 2) * scale, col + (x - this.canvas.clientWidth / 2) * scale];
  }

  /** A span that is neither closer than 8 pixels nor farther than four times the whole. */
  limited(span) { return Math.min(Math.max(span, 8), this.whole()[2] * 4); }

  set([row, col, span]) {
    const { rows, columns } = this.about;
    this.model.set("view", [Math.min(Math.max(row, 0), rows), Math.min(Math.max(col, 0), columns), this.limited(span)]);
    this.save();
  }

  showWhole() {
    this.model.set("view", []);
    this.save();
  }

  /** Comes closer by a factor, and keeps the place under (x, y) where it is. */
  zoomBy(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const [row, col, span] = this.now();
    const next = this.limited(span / factor);
    const move = (span - next) / this.canvas.clientWidth;
    this.set([row + (y - this.canvas.clientHeight / 2) * move, col + (x - this.canvas.clientWidth / 2) * move, next]);
  }

  /** Moves by CSS pixels. */
  moveBy(x, y) {
    const [row, col, span] = this.now(), scale = this.perPixel();
    this.set([row + y * scale, col + x * scale, span]);
  }
}

/** Lets one pointer drag the view and two pinch it; `onPlace` hears of each place under a pointer, and of none. */
function movedByPointers(view, onPlace) {
  const { canvas } = view, hands = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    hands.set(event.pointerId, [event.offsetX, event.offsetY]);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = hands.get(event.pointerId), now = [event.offsetX, event.offsetY];
    onPlace(view.placeAt(...now));
    if (!before) return;
    if (hands.size === 2) pinch(view, before, now, [...hands].find(([id]) => id !== event.pointerId)[1]);
    else view.moveBy(before[0] - now[0], before[1] - now[1]);
    hands.set(event.pointerId, now);
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => hands.delete(event.pointerId));
  canvas.addEventListener("pointerleave", () => onPlace(null));
}

/** Zooms as one finger moves from `before` to `now` while the `other` rests. */
function pinch(view, before, now, other) {
  const apart = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]) || 1;
  view.zoomBy(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
}

/** Lets the wheel zoom a canvas that was clicked, or with Ctrl held; else the page scrolls and the hint says why. */
function movedByWheel(view, hint) {
  const { canvas } = view;
  const hideHint = afterRest(() => { hint.hidden = true; }, 1200);
  canvas.addEventListener("wheel", (event) => {
    const focused = canvas.getRootNode().activeElement === canvas;
    if (!event.ctrlKey && !event.metaKey && !focused) { hint.hidden = false; hideHint(); return; }
    swallow(event);
    const lines = event.deltaMode === 1 ? 16 : 1;
    view.zoomBy(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => view.zoomBy(2, event.offsetX, event.offsetY));
}

/** Lets arrow keys move the view, plus and minus zoom it, and 0 show the whole. */
function movedByKeys(view) {
  const keys = {
    ArrowLeft: () => view.moveBy(-60, 0), ArrowRight: () => view.moveBy(60, 0), ArrowUp: () => view.moveBy(0, -60),
    ArrowDown: () => view.moveBy(0, 60), "+": () => view.zoomBy(1.5), "=": () => view.zoomBy(1.5),
    "-": () => view.zoomBy(1 / 1.5), 0: () => view.showWhole(),
  };
  view.canvas.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    swallow(event);
    keys[event.key]();
  });
}

/** Lets the divider of the swipe be dragged, or moved by arrow keys, Home and End. */
function movedDivider(model, divider, stage) {
  const save = afterRest(() => model.save_changes(), 100);
  const set = (at) => { model.set("swipe_at", Math.min(Math.max(at, 0), 1)); save(); };
  divider.addEventListener("pointerdown", (event) => divider.setPointerCapture(event.pointerId));
  divider.addEventListener("pointermove", (event) => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const box = stage.getBoundingClientRect();
    set((event.clientX - box.left) / box.width);
  });
  divider.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
    if (!step) return;
    swallow(event);
    set(model.get("swipe_at") + step);
  });
}
