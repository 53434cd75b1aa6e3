// SceneExplorer: one canvas, the scene under a layer, cut in two by a swipe.

const NAMES = {
  image: "image only", prediction: "prediction", probability: "probability", truth: "truth", errors: "errors",
  classes: "all classes",
};

/** What a layer is called: by its usual name, or by one that the explorer gives it. */
const nameOf = (about, layer) => about.names?.[layer] ?? NAMES[layer];

/** IoU, precision and recall at a threshold, from the counts of each probability byte in background and foreground. */
function scoresAt(counts, threshold) {
  const cut = cutOf(threshold);
  let tp = 0, fp = 0, fn = 0;
  for (let value = 0; value < 256; value++) {
    if (value >= cut) { fp += counts[0][value]; tp += counts[1][value]; } else fn += counts[1][value];
  }
  const share = (part, all, empty) => (all ? part / all : Number(empty)); // as Counts in evaluate/counts.py
  return { iou: share(tp, tp + fp + fn, true), precision: share(tp, tp + fp, fn === 0), recall: share(tp, tp + fn, fp === 0) };
}

/** The classes of a scene: the one that is chosen, the threshold that each has at the moment, and their colours. */
class Classes {
  constructor(model, about) {
    Object.assign(this, { model, all: about.classes, colours: about.colours });
    this.limits = new Map(this.all.map((c) => [c.name, c.threshold]));
    this.limits.set(this.chosen.name, model.get("threshold"));
  }

  get number() { return Math.max(0, this.all.findIndex((c) => c.name === this.model.get("class_name"))); }

  get chosen() { return this.all[this.number]; }

  limit(number) { return this.limits.get(this.all[number].name); }

  coloursOf(number) {
    const { prediction, truth } = this.all[number];
    return { ...this.colours, prediction, truth };
  }

  /** Whether a threshold is another one than polygons were made with: they are not traced anew as it moves. */
  moved(layer) {
    const looked = layer === "classes" ? this.all.keys() : [this.number];
    return [...looked].some((number) => Math.abs(this.limit(number) - this.all[number].threshold) > 0.004);
  }

  /** The threshold that was moved belongs to the class that is chosen. */
  remember() { this.limits.set(this.model.get("class_name"), this.model.get("threshold")); }

  /** A class that is chosen goes on with the threshold that it had. */
  recall() { this.model.set("threshold", this.limits.get(this.model.get("class_name"))); }
}

// ---- what the explorer is built of

/** The canvas with all that lies on it. */
function buildStage(model, about) {
  const canvas = h("canvas", {
    tabindex: 0, role: "application", "data-lm-suppress-shortcuts": "true",
    "aria-label": `${about.name}. Arrow keys move, plus and minus zoom, 0 shows the whole scene.`,
  });
  const view = new View(model, canvas, about);
  const divider = h("div", {
    class: "jn-divider", tabindex: 0, role: "slider", "aria-label": "swipe", "aria-valuemin": 0, "aria-valuemax": 100,
    "data-lm-suppress-shortcuts": "true",
  });
  const legend = h("div", { class: "jn-card jn-legend" });
  const scaleText = h("span"), scaleLine = h("div");
  const scale = h("div", { class: "jn-card jn-scale" }, scaleText, scaleLine);
  const hint = h("div", { class: "jn-card jn-hint", hidden: true }, "click the scene, then scroll to zoom");
  const tools = h("div", { class: "jn-tools" }, button("+", "zoom in", () => view.zoomBy(1.5)),
    button("−", "zoom out", () => view.zoomBy(1 / 1.5)), button("⤢", "show the whole scene", () => view.showWhole()));
  const stage = h("div", { class: "jn-stage", style: `height:${about.height}px` }, canvas, divider, legend, scale, hint, tools,
    about.note ? h("div", { class: "jn-card jn-note" }, about.note) : null);
  return { stage, canvas, view, divider, legend, scale, scaleText, scaleLine, hint };
}

/** The bar of controls: those alone that this scene has a use for. */
function buildBar(model, about) {
  const layers = ["image", ...about.layers], several = layers.length > 1;
  const options = layers.map((name) => [name, nameOf(about, name)]);
  return h("div", { class: "jn-bar" },
    h("strong", {}, about.name),
    about.classes.length > 1 ? choice(model, "class_name", "class", about.classes.map((c) => [c.name, c.name])) : null,
    several ? choice(model, "layer", "layer", options) : null,
    several ? choice(model, "swipe", "swipe against", [["off", "off"], ...options]) : null,
    about.layers.includes("prediction") && about.cut !== false ? slider(model, "threshold", "threshold", { min: 0.01, max: 0.99 }) : null,
    several ? slider(model, "opacity", "opacity", { step: 0.05 }) : null,
    toggle(model, "show_image", "image"),
    about.polygons.length ? toggle(model, "show_polygons", "polygons") : null);
}

/** [class, Path2D] for each set of polygons, from the points and the ends of rings that Python sends. */
function readOutlines(model, about) {
  const points = new Float32Array(bytesOf(model.get("points")).slice().buffer);
  const ends = new Uint32Array(bytesOf(model.get("ends")).slice().buffer);
  let ring = 0;
  return about.polygons.map(([className, rings]) => {
    const path = new Path2D();
    for (const last = ring + rings; ring < last; ring++) addRing(path, points, ring ? ends[ring - 1] : 0, ends[ring]);
    return [className, path];
  });
}

/** Adds the points from number `start` up to `end` to a path. */
function addRing(path, points, start, end) {
  path.moveTo(points[2 * start], points[2 * start + 1]);
  for (let p = start + 1; p < end; p++) path.lineTo(points[2 * p], points[2 * p + 1]);
}

// ---- drawing; `scene` is what renderScene gathers: {model, about, classes, sheets, outlines, root, readout, scores, ...}

/** All of the canvas: one layer, or two with the divider between. */
function drawScene(scene) {
  const { model, canvas, view, root, stage } = scene;
  if (!canvas.clientWidth) return;
  const start = performance.now();
  const ratio = fitCanvas(canvas);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const swiping = model.get("swipe") !== "off";
  const cut = swiping ? Math.round(model.get("swipe_at") * canvas.width) : canvas.width;
  drawSide(scene, context, model.get("layer"), 0, cut, ratio);
  if (swiping) drawSide(scene, context, model.get("swipe"), cut, canvas.width, ratio);
  placeDivider(scene, swiping);
  drawScale(scene);
  root.dataset.frame = (performance.now() - start).toFixed(1);
  root.dataset.drawn = String(Number(root.dataset.drawn || 0) + 1);
  stage.dispatchEvent(new CustomEvent("drawn", { detail: { view: view.now(), perPixel: view.perPixel() } }));
}

/** A layer over the image between two columns of the canvas. */
function drawSide(scene, context, layer, from, to, ratio) {
  if (to <= from) return;
  const { canvas, view, sheets } = scene;
  const [row, col, span] = view.now();
  const zoom = canvas.width / span;
  context.save();
  context.beginPath();
  context.rect(from, 0, to - from, canvas.height);
  context.clip();
  context.translate(canvas.width / 2 - col * zoom, canvas.height / 2 - row * zoom);
  context.scale(zoom, zoom);
  for (const sheet of sheets) drawSheet(scene, context, sheet, layer, zoom);
  context.globalAlpha = 1;
  if (scene.model.get("show_polygons")) drawOutlines(scene, context, layer, ratio / zoom);
  context.restore();
}

/** The photograph of a window of the scene and a layer over it; the layer "classes" is the predictions of all classes. */
function drawSheet({ model, about, classes }, context, sheet, layer, zoom) {
  const [top, left, height, width] = sheet.window;
  context.imageSmoothingQuality = "high";
  context.imageSmoothingEnabled = zoom * width / sheet.photo.width < 2;
  if (model.get("show_image")) {
    context.globalAlpha = 1;
    context.drawImage(sheet.photo, left, top, width, height);
  }
  if (layer === "image") return;
  const name = layer === "classes" ? "prediction" : layer;
  for (const number of layer === "classes" ? classes.all.keys() : [classes.number]) {
    const limit = classes.limit(number);
    const key = name === "prediction" || name === "errors" ? limit : "fixed";
    const painted = sheet.layer(name, number, key, colourTable(name, limit, classes.coloursOf(number), about.ramp));
    context.imageSmoothingEnabled = zoom * width / painted.width < 1;
    context.globalAlpha = model.get("opacity");
    context.drawImage(painted, left, top, width, height);
  }
}

/** Polygons of the class, or of all classes: a bright line on a dark one, seen on any ground; `width` is a CSS pixel's.
 * They are dashed while the threshold is not the one that they were made with. */
function drawOutlines({ model, about, classes, outlines }, context, layer, width) {
  context.setLineDash(classes.moved(layer) ? [4 * width, 4 * width] : []);
  for (const [className, path] of outlines) {
    if (className && layer !== "classes" && className !== model.get("class_name")) continue;
    for (const [wide, colour] of [[3.5, "rgba(0,0,0,0.55)"], [1.8, about.colours.outline]]) {
      context.lineWidth = wide * width;
      context.strokeStyle = colour;
      context.stroke(path);
    }
  }
}

function placeDivider({ model, divider }, swiping) {
  divider.hidden = !swiping;
  divider.style.left = `${100 * model.get("swipe_at")}%`;
  divider.setAttribute("aria-valuenow", Math.round(100 * model.get("swipe_at")));
}

/** A bar of a round length near 120 CSS pixels; none where the size of a pixel is not known. */
function drawScale({ about, view, scale, scaleText, scaleLine }) {
  scale.hidden = !about.gsd;
  if (!about.gsd) return;
  const metres = view.perPixel() * about.gsd;
  const length = roundLength(120 * metres);
  scaleLine.style.width = `${length / metres}px`;
  scaleText.textContent = length >= 1000 ? `${length / 1000} km` : `${length} m`;
}

// ---- words: legend, scores, and what is under the cursor

function drawLegend({ model, about, classes, outlines, legend }) {
  const shown = new Set([model.get("layer"), model.get("swipe")]);
  const colours = classes.coloursOf(classes.number), many = classes.all.length > 1, { name } = classes.chosen;
  const entries = [];
  if (shown.has("classes")) entries.push(...classes.all.map((c) => [c.prediction, `predicted ${c.name}`]));
  else if (shown.has("prediction")) entries.push([colours.prediction, many ? `predicted ${name}` : about.names?.prediction ?? "predicted"]);
  if (shown.has("probability")) entries.push([gradient(about.ramp), `probability${many ? ` of ${name}` : ""}, 0 to 1`]);
  if (shown.has("truth")) entries.push([colours.truth, many ? `true ${name}` : nameOf(about, "truth")]);
  if (shown.has("errors")) entries.push(...about.errors.map(([code, text]) => [colours[code], text]));
  if (outlines.length && model.get("show_polygons")) {
    entries.push([colours.outline, classes.moved(model.get("layer")) ? "polygons, not of this threshold" : "polygons"]);
  }
  fillLegend(legend, entries);
}

/** CSS of a colour ramp from left to right. */
function gradient(ramp) {
  return `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map((v) => ramp[Math.round(v * 255)]).join(",")})`;
}

function showScores({ model, scores }) {
  const counts = model.get("counts")[model.get("class_name")];
  const found = counts ? scoresAt(counts, model.get("threshold")) : {};
  scores.textContent = Object.entries(found).map(([name, v]) => `${name === "iou" ? "IoU" : name} ${v.toFixed(3)}`).join("   ");
}

/** Says where the cursor is and what is there; a blank where it is outside the scene. */
function showPlace(scene, place) {
  const { about, readout } = scene;
  const [row, col] = place || [-1, -1];
  const inside = row >= 0 && col >= 0 && row < about.rows && col < about.columns;
  const parts = inside ? [`row ${Math.floor(row)}, column ${Math.floor(col)}`, ...coordinatesAt(about, row, col),
    ...valuesAt(scene, row, col)] : [" "];
  readout.textContent = parts.join("   ·   ");
}

/** The coordinates of a place in the scene's CRS, where it has one. */
function coordinatesAt(about, row, col) {
  if (!about.transform) return [];
  const [a, b, c, d, e, f] = about.transform;
  const digits = about.geographic ? 6 : 1;
  return [`${about.crs} ${(a * col + b * row + c).toFixed(digits)}, ${(d * col + e * row + f).toFixed(digits)}`];
}

/** What the finest sheet says of a place: its probability and what is true there. */
function valuesAt({ about, classes, sheets }, row, col) {
  const read = (layer) => {
    const values = [...sheets].reverse().map((sheet) => sheet.value(layer, classes.number, row, col));
    return values.find((value) => value !== null) ?? null;
  };
  const probability = about.layers.includes("probability") ? read("probability") : null, truth = read("truth");
  return [
    ...(probability === null ? [] : [`probability ${(probability / 255).toFixed(2)}`]),
    ...(truth === null ? [] : [`${nameOf(about, "truth")} ${["background", classes.chosen.one, "not counted"][truth]}`]),
  ];
}

// ---- full resolution, fetched from Python when the view rests

/** Functions that ask Python for the window in view, and that take its answer; only the last answer counts. */
function cropsOf(scene, redraw) {
  const { model, about, canvas, view, sheets, root } = scene;
  let asked = 0;
  const ask = afterRest(() => {
    const { photo } = sheets[0];
    if (!about.live || photo.width >= about.columns) return;
    const screen = canvas.width / view.now()[2]; // screen pixels per scene pixel
    if (screen <= 1.05 * photo.width / about.columns) { sheets.length = 1; redraw(); return; }
    const window = windowInView(scene);
    if (window[2] < 1 || window[3] < 1) return;
    model.send({ type: "crop", id: ++asked, window, size: Math.max(canvas.width, canvas.height) });
  }, 180);
  const take = async (message, buffers) => {
    if (message.type !== "crop" || message.id !== asked) return;
    const sheet = await Sheet.load(message.window, buffers.map((b) => (b.byteLength ? b : null)), about.classes.length);
    if (message.id !== asked) return;
    sheets.splice(1, 1, sheet);
    root.dataset.crop = message.window.join(",");
    redraw();
  };
  return { ask, take };
}

/** [row, col, height, width]: the part of the scene that the canvas shows. */
function windowInView({ about, canvas, view }) {
  const [row, col] = view.placeAt(0, 0), [end, stop] = view.placeAt(canvas.clientWidth, canvas.clientHeight);
  const top = Math.max(0, Math.floor(row)), left = Math.max(0, Math.floor(col));
  return [top, left, Math.min(about.rows, Math.ceil(end)) - top, Math.min(about.columns, Math.ceil(stop)) - left];
}

// ---- the explorer

async function renderScene({ model, el }) {
  const about = model.get("about");
  const parts = buildStage(model, about);
  const readout = h("span", { class: "jn-readout" }, " ");
  const scores = h("span", { class: "jn-scores", "aria-live": "polite" });
  const root = h("div", { class: "jn jn-scene", "data-ready": "false" }, buildBar(model, about), parts.stage,
    h("div", { class: "jn-foot" }, readout, scores), errorLine(model));
  el.append(root);

  const first = await Sheet.load([0, 0, about.rows, about.columns],
    [model.get("image"), model.get("probability"), model.get("truth")], about.classes.length);
  const scene = { model, about, root, readout, scores, ...parts, classes: new Classes(model, about), sheets: [first],
    outlines: readOutlines(model, about) };
  const stop = followChanges(scene);
  drawScene(scene);
  drawLegend(scene);
  showScores(scene);
  root.dataset.ready = "true";
  if (model.get("arrives")) setTimeout(() => root.scrollIntoView({ behavior: "smooth", block: "nearest" }), 100);
  return stop;
}

/** Binds hands, traits and messages to the scene; returns a function that lets go of what outlives its elements. */
function followChanges(scene) {
  const { model, classes, stage, view } = scene;
  const redraw = oncePerFrame(() => drawScene(scene));
  const settle = () => { redraw(); drawLegend(scene); };
  const crops = cropsOf(scene, redraw);
  movedByPointers(view, (place) => showPlace(scene, place));
  movedByWheel(view, scene.hint);
  movedByKeys(view);
  movedDivider(model, scene.divider, stage);
  for (const trait of ["layer", "swipe", "swipe_at", "opacity", "show_image", "show_polygons"]) model.on(`change:${trait}`, settle);
  model.on("change:threshold", () => { classes.remember(); settle(); showScores(scene); });
  model.on("change:class_name", () => { classes.recall(); settle(); showScores(scene); });
  model.on("change:view", () => { redraw(); crops.ask(); });
  model.on("change:counts", () => showScores(scene));
  model.on("msg:custom", crops.take);
  const watcher = new ResizeObserver(() => { redraw(); crops.ask(); });
  watcher.observe(stage);
  return () => { watcher.disconnect(); model.off("msg:custom", crops.take); };
}

/** A place for one scene after another. `show` draws the scene that the model holds now and returns whether it is still
 * the one that is wanted: of two asked for at once, the first to be asked for is let go. */
function sceneHolder(model, holder) {
  let scene = null, ending = null;
  const release = () => { scene?.release(); ending?.(); ending = null; };
  const show = async () => {
    const mine = scoped(model), el = h("div");
    release();
    scene = mine;
    holder.replaceChildren(el);
    const end = await renderScene({ model: mine, el });
    if (scene !== mine) { end(); mine.release(); return false; }
    ending = end;
    return true;
  };
  return { show, release };
}

export default { render: renderScene };
