// SceneExplorer: one canvas, the scene under a layer, cut in two by a swipe. Colours come from a table of 256 entries, so
// that a new threshold is a new table and one pass over the pixels.

const NAMES = {
  image: "image only", prediction: "prediction", probability: "probability", truth: "truth", errors: "errors",
  classes: "all classes",
};

/** RGBA words for each code of truth (0, 1, 2 = not counted) and each probability byte: index truth * 256 + byte. */
function colourTable(layer, threshold, colours, ramp) {
  const table = new Uint32Array(768);
  const cut = Math.max(1, Math.ceil(threshold * 255 - 1e-6));
  for (let truth = 0; truth < 3; truth++) {
    for (let value = 0; value < 256; value++) {
      const found = value >= cut;
      let entry = 0;
      if (layer === "probability") entry = word(ramp[value]);
      else if (layer === "prediction") entry = found ? word(colours.prediction) : 0;
      else if (layer === "truth") entry = truth === 1 ? word(colours.truth) : 0;
      else if (layer === "errors") {
        if (truth === 2) entry = word(colours.ignored);
        else if (found) entry = word(truth ? colours.TP : colours.FP);
        else entry = truth ? word(colours.FN) : 0;
      }
      table[truth * 256 + value] = entry;
    }
  }
  return table;
}

/** A picture of a window of the scene: its photograph, probability and truth, and painted layers kept until they change. */
class Sheet {
  constructor(window, photo, probability, truth) {
    Object.assign(this, { window, photo, probability, truth, painted: new Map() });
  }

  static async load(window, [photo, probability, truth], classes) {
    return new Sheet(window, await bitmapOf(photo), planesOf(await greyOf(probability), classes),
      planesOf(await greyOf(truth), classes));
  }

  /** A canvas of the layer of a class (its number) in the colours of a table, painted anew only when `key` changes. */
  layer(layer, number, key, table) {
    const name = `${layer} ${number}`;
    const old = this.painted.get(name);
    if (old && old.key === key) return old.canvas;
    const { width, height } = this.probability || this.truth;
    const canvas = old ? old.canvas : new OffscreenCanvas(width, height);
    const context = old ? old.context : canvas.getContext("2d");
    const image = old ? old.image : context.createImageData(width, height);
    const out = new Uint32Array(image.data.buffer);
    const probability = this.probability && this.probability.data[number];
    const truth = this.truth && this.truth.data[number];
    if (probability && truth) for (let i = 0; i < out.length; i++) out[i] = table[(truth[i] << 8) | probability[i]];
    else if (probability) for (let i = 0; i < out.length; i++) out[i] = table[probability[i]];
    else for (let i = 0; i < out.length; i++) out[i] = table[truth[i] << 8];
    context.putImageData(image, 0, 0);
    this.painted.set(name, { key, canvas, context, image });
    return canvas;
  }

  /** The value of a layer of a class at a place of the scene, or null. */
  value(layer, number, row, col) {
    const source = this[layer];
    const [top, left, height, width] = this.window;
    if (!source || row < top || col < left || row >= top + height || col >= left + width) return null;
    const y = Math.floor((row - top) * source.height / height), x = Math.floor((col - left) * source.width / width);
    return source.data[number][y * source.width + x];
  }
}

/** Grey values whose classes lie one below the other as {width, height, data: one Uint8Array for each class}; or null. */
function planesOf(grey, classes) {
  if (!grey) return null;
  const height = grey.height / classes, size = grey.width * height;
  const data = Array.from({ length: classes }, (_, i) => grey.data.subarray(i * size, (i + 1) * size));
  return { width: grey.width, height, data };
}

/** IoU, precision and recall at a threshold, from the counts of each probability byte in background and foreground. */
function scoresAt(counts, threshold) {
  const cut = Math.max(1, Math.ceil(threshold * 255 - 1e-6));
  let tp = 0, fp = 0, fn = 0;
  for (let value = 0; value < 256; value++) {
    if (value >= cut) { fp += counts[0][value]; tp += counts[1][value]; } else fn += counts[1][value];
  }
  const share = (part, all, empty) => (all ? part / all : Number(empty)); // as Counts in evaluate/counts.py
  return { iou: share(tp, tp + fp + fn, true), precision: share(tp, tp + fp, fn === 0), recall: share(tp, tp + fn, fp === 0) };
}

async function renderScene({ model, el }) {
  const about = model.get("about");
  const { ramp, classes } = about;
  const layers = ["image", ...about.layers];
  const limits = Object.fromEntries(classes.map((k) => [k.name, k.threshold]));
  const chosen = () => Math.max(0, classes.findIndex((k) => k.name === model.get("class_name")));
  const coloursOf = (number) => ({ ...about.colours, prediction: classes[number].prediction, truth: classes[number].truth });
  limits[classes[chosen()].name] = model.get("threshold");

  const canvas = h("canvas", {
    tabindex: 0, role: "application", "data-lm-suppress-shortcuts": "true",
    "aria-label": `${about.name}. Arrow keys move, plus and minus zoom, 0 shows the whole scene.`,
  });
  const legend = h("div", { class: "jn-card jn-legend" });
  const scaleText = h("span"), scaleLine = h("div");
  const scale = h("div", { class: "jn-card jn-scale" }, scaleText, scaleLine);
  const divider = h("div", {
    class: "jn-divider", tabindex: 0, role: "slider", "aria-label": "swipe", "aria-valuemin": 0, "aria-valuemax": 100,
    "data-lm-suppress-shortcuts": "true",
  });
  const hint = h("div", { class: "jn-card jn-hint", hidden: true }, "click the scene, then scroll to zoom");
  const tools = h("div", { class: "jn-tools" }, button("+", "zoom in", () => zoomBy(1.5)),
    button("−", "zoom out", () => zoomBy(1 / 1.5)), button("⤢", "show the whole scene", () => setView([])));
  const stage = h("div", { class: "jn-stage", style: `height:${about.height}px` }, canvas, divider, legend, scale, hint, tools,
    about.note ? h("div", { class: "jn-card jn-note" }, about.note) : null);

  const options = layers.map((name) => [name, NAMES[name]]);
  const bar = h("div", { class: "jn-bar" },
    h("strong", {}, about.name),
    classes.length > 1 ? choice(model, "class_name", "class", classes.map((k) => [k.name, k.name])) : null,
    layers.length > 1 ? choice(model, "layer", "layer", options) : null,
    layers.length > 1 ? choice(model, "swipe", "swipe against", [["off", "off"], ...options]) : null,
    about.layers.includes("prediction") ? slider(model, "threshold", "threshold", { min: 0.01, max: 0.99 }) : null,
    layers.length > 1 ? slider(model, "opacity", "opacity", { step: 0.05 }) : null,
    toggle(model, "show_image", "image"),
    about.polygons.length ? toggle(model, "show_polygons", "polygons") : null);
  const readout = h("span", { class: "jn-readout" }, " ");
  const scores = h("span", { class: "jn-scores", "aria-live": "polite" });
  const root = h("div", { class: "jn jn-scene", "data-ready": "false" }, bar, stage, h("div", { class: "jn-foot" }, readout, scores),
    errorLine(model));
  el.append(root);

  const sheets = [await Sheet.load([0, 0, about.rows, about.columns], [
    model.get("image"), model.get("probability"), model.get("truth")], classes.length)];
  const points = new Float32Array(bytesOf(model.get("points")).slice().buffer);
  const ends = new Uint32Array(bytesOf(model.get("ends")).slice().buffer);
  let ring = 0;
  const outlines = about.polygons.map(([className, rings]) => {
    const path = new Path2D();
    for (const last = ring + rings; ring < last; ring++) {
      for (let p = ring ? ends[ring - 1] : 0, first = p; p < ends[ring]; p++) {
        if (p === first) path.moveTo(points[2 * p], points[2 * p + 1]);
        else path.lineTo(points[2 * p], points[2 * p + 1]);
      }
    }
    return [className, path];
  });

  // ---- where the view is: [row, col, span], the middle and the scene's columns across the canvas
  const whole = () => {
    const form = canvas.clientWidth / Math.max(1, canvas.clientHeight);
    return [about.rows / 2, about.columns / 2, Math.max(about.columns, about.rows * form) * 1.02];
  };
  const view = () => { const v = model.get("view"); return v.length === 3 ? v : whole(); };
  const perPixel = () => view()[2] / canvas.clientWidth; // scene pixels per CSS pixel
  const saveView = afterRest(() => model.save_changes(), 150);
  function setView(next) {
    if (next.length) {
      const span = Math.min(Math.max(next[2], 8), whole()[2] * 4);
      next = [Math.min(Math.max(next[0], 0), about.rows), Math.min(Math.max(next[1], 0), about.columns), span];
    }
    model.set("view", next);
    saveView();
  }
  function zoomBy(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
    const [row, col, span] = view();
    const next = Math.min(Math.max(span / factor, 8), whole()[2] * 4);
    const move = (span - next) / canvas.clientWidth;
    setView([row + (y - canvas.clientHeight / 2) * move, col + (x - canvas.clientWidth / 2) * move, next]);
  }
  function moveBy(x, y) {
    const [row, col, span] = view();
    setView([row + y * perPixel(), col + x * perPixel(), span]);
  }
  const placeAt = (x, y) => {
    const [row, col] = view();
    return [row + (y - canvas.clientHeight / 2) * perPixel(), col + (x - canvas.clientWidth / 2) * perPixel()];
  };

  // ---- drawing
  function drawSide(context, layer, from, to, ratio) {
    if (to <= from) return;
    const [row, col, span] = view();
    const zoom = canvas.width / span;
    context.save();
    context.beginPath();
    context.rect(from, 0, to - from, canvas.height);
    context.clip();
    context.translate(canvas.width / 2 - col * zoom, canvas.height / 2 - row * zoom);
    context.scale(zoom, zoom);
    for (const sheet of sheets) {
      const [top, left, height, width] = sheet.window;
      context.imageSmoothingQuality = "high";
      context.imageSmoothingEnabled = zoom * width / sheet.photo.width < 2;
      if (model.get("show_image")) {
        context.globalAlpha = 1;
        context.drawImage(sheet.photo, left, top, width, height);
      }
      if (layer === "image") continue;
      const all = layer === "classes";
      const name = all ? "prediction" : layer;
      for (const number of all ? classes.keys() : [chosen()]) {
        const limit = limits[classes[number].name];
        const key = name === "prediction" || name === "errors" ? limit : "fixed";
        const painted = sheet.layer(name, number, key, colourTable(name, limit, coloursOf(number), ramp));
        context.imageSmoothingEnabled = zoom * width / painted.width < 1;
        context.globalAlpha = model.get("opacity");
        context.drawImage(painted, left, top, width, height);
      }
    }
    context.globalAlpha = 1;
    if (model.get("show_polygons")) {
      for (const [className, path] of outlines) {
        if (className && layer !== "classes" && className !== model.get("class_name")) continue;
        context.lineWidth = 3.5 * ratio / zoom;
        context.strokeStyle = "rgba(0,0,0,0.55)";
        context.stroke(path);
        context.lineWidth = 1.8 * ratio / zoom;
        context.strokeStyle = about.colours.outline;
        context.stroke(path);
      }
    }
    context.restore();
  }

  function draw() {
    if (!canvas.clientWidth) return;
    const start = performance.now();
    const ratio = fitCanvas(canvas);
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    const swiping = model.get("swipe") !== "off";
    const cut = swiping ? Math.round(model.get("swipe_at") * canvas.width) : canvas.width;
    drawSide(context, model.get("layer"), 0, cut, ratio);
    if (swiping) drawSide(context, model.get("swipe"), cut, canvas.width, ratio);
    divider.hidden = !swiping;
    divider.style.left = `${100 * model.get("swipe_at")}%`;
    divider.setAttribute("aria-valuenow", Math.round(100 * model.get("swipe_at")));
    drawScale();
    root.dataset.frame = (performance.now() - start).toFixed(1);
    root.dataset.drawn = String(Number(root.dataset.drawn || 0) + 1);
    stage.dispatchEvent(new CustomEvent("drawn", { detail: { view: view(), perPixel: perPixel() } }));
  }
  const redraw = oncePerFrame(draw);

  function drawScale() {
    scale.hidden = !about.gsd;
    if (!about.gsd) return;
    const metres = perPixel() * about.gsd;
    const length = roundLength(120 * metres);
    scaleLine.style.width = `${length / metres}px`;
    scaleText.textContent = length >= 1000 ? `${length / 1000} km` : `${length} m`;
  }

  function drawLegend() {
    const shown = new Set([model.get("layer"), model.get("swipe")]);
    const colours = coloursOf(chosen()), many = classes.length > 1, className = classes[chosen()].name;
    const ends = () => `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map((v) => ramp[Math.round(v * 255)]).join(",")})`;
    const entries = [];
    if (shown.has("classes")) entries.push(...classes.map((k) => [k.prediction, `predicted ${k.name}`]));
    else if (shown.has("prediction")) entries.push([colours.prediction, many ? `predicted ${className}` : "predicted"]);
    if (shown.has("probability")) entries.push([ends(), `probability${many ? ` of ${className}` : ""}, 0 to 1`]);
    if (shown.has("truth")) entries.push([colours.truth, many ? `true ${className}` : "truth"]);
    if (shown.has("errors")) entries.push(...about.errors.map(([code, name]) => [colours[code], name]));
    if (outlines.length && model.get("show_polygons")) entries.push([colours.outline, "polygons"]);
    fillLegend(legend, entries);
  }

  function showScores() {
    const counts = model.get("counts")[model.get("class_name")];
    if (!counts) { scores.textContent = ""; return; }
    const found = scoresAt(counts, model.get("threshold"));
    scores.textContent = Object.entries(found).map(([name, v]) => `${name === "iou" ? "IoU" : name} ${v.toFixed(3)}`).join("   ");
  }

  function showPlace(x, y) {
    const [row, col] = placeAt(x, y);
    if (row < 0 || col < 0 || row >= about.rows || col >= about.columns) { readout.textContent = " "; return; }
    const parts = [`row ${Math.floor(row)}, column ${Math.floor(col)}`];
    if (about.transform) {
      const [a, b, c, d, e, f] = about.transform;
      const digits = about.geographic ? 6 : 1;
      parts.push(`${about.crs} ${(a * col + b * row + c).toFixed(digits)}, ${(d * col + e * row + f).toFixed(digits)}`);
    }
    for (const [layer, name] of [["probability", "probability"], ["truth", "truth"]]) {
      const sheet = [...sheets].reverse().find((s) => s.value(layer, chosen(), row, col) !== null);
      const value = sheet ? sheet.value(layer, chosen(), row, col) : null;
      if (value === null || (layer === "probability" && !about.layers.includes("probability"))) continue;
      parts.push(layer === "truth" ? `${name} ${["background", classes[chosen()].one, "not counted"][value]}`
        : `${name} ${(value / 255).toFixed(2)}`);
    }
    readout.textContent = parts.join("   ·   ");
  }

  // ---- full resolution, fetched from Python when the view rests
  let asked = 0;
  const fetchCrop = afterRest(() => {
    const photo = sheets[0].photo;
    if (!about.live || photo.width >= about.columns) return;
    const screen = canvas.width / view()[2]; // screen pixels per scene pixel
    if (screen <= 1.05 * photo.width / about.columns) { sheets.length = 1; redraw(); return; }
    const [row, col] = placeAt(0, 0), [end, stop] = placeAt(canvas.clientWidth, canvas.clientHeight);
    const top = Math.max(0, Math.floor(row)), left = Math.max(0, Math.floor(col));
    const height = Math.min(about.rows, Math.ceil(end)) - top, width = Math.min(about.columns, Math.ceil(stop)) - left;
    if (height < 1 || width < 1) return;
    model.send({ kind: "crop", id: ++asked, window: [top, left, height, width], size: Math.max(canvas.width, canvas.height) });
  }, 180);
  async function receive(message, buffers) {
    if (message.kind !== "crop" || message.id !== asked) return;
    const sheet = await Sheet.load(message.window, buffers.map((b) => (b.byteLength ? b : null)), classes.length);
    if (message.id !== asked) return;
    sheets.splice(1, 1, sheet);
    root.dataset.crop = message.window.join(",");
    redraw();
  }

  // ---- hands: mouse, touch pad, touch, keys
  const hands = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    hands.set(event.pointerId, [event.offsetX, event.offsetY]);
  });
  canvas.addEventListener("pointermove", (event) => {
    showPlace(event.offsetX, event.offsetY);
    const before = hands.get(event.pointerId);
    if (!before) return;
    const now = [event.offsetX, event.offsetY];
    if (hands.size === 2) {
      const other = [...hands.entries()].find(([id]) => id !== event.pointerId)[1];
      const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
      zoomBy(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else moveBy(before[0] - now[0], before[1] - now[1]);
    hands.set(event.pointerId, now);
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => hands.delete(event.pointerId));
  canvas.addEventListener("pointerleave", () => { readout.textContent = " "; });
  const hideHint = afterRest(() => { hint.hidden = true; }, 1200);
  canvas.addEventListener("wheel", (event) => {
    const root = canvas.getRootNode();
    if (!event.ctrlKey && !event.metaKey && root.activeElement !== canvas) { hint.hidden = false; hideHint(); return; }
    event.preventDefault();
    event.stopPropagation();
    const lines = event.deltaMode === 1 ? 16 : 1;
    zoomBy(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoomBy(2, event.offsetX, event.offsetY));
  const keys = {
    ArrowLeft: () => moveBy(-60, 0), ArrowRight: () => moveBy(60, 0), ArrowUp: () => moveBy(0, -60),
    ArrowDown: () => moveBy(0, 60), "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5),
    0: () => setView([]),
  };
  canvas.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });

  const saveSwipe = afterRest(() => model.save_changes(), 100);
  const setSwipe = (at) => { model.set("swipe_at", Math.min(Math.max(at, 0), 1)); saveSwipe(); };
  divider.addEventListener("pointerdown", (event) => divider.setPointerCapture(event.pointerId));
  divider.addEventListener("pointermove", (event) => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const box = stage.getBoundingClientRect();
    setSwipe((event.clientX - box.left) / box.width);
  });
  divider.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    setSwipe(model.get("swipe_at") + step);
  });

  // ---- what a change asks for
  const settle = () => { redraw(); drawLegend(); };
  for (const trait of ["layer", "swipe", "swipe_at", "opacity", "show_image", "show_polygons"]) model.on(`change:${trait}`, settle);
  model.on("change:threshold", () => { limits[model.get("class_name")] = model.get("threshold"); redraw(); showScores(); });
  model.on("change:class_name", () => { model.set("threshold", limits[model.get("class_name")]); settle(); showScores(); });
  model.on("change:view", () => { redraw(); fetchCrop(); });
  model.on("change:counts", showScores);
  model.on("msg:custom", receive);
  const watcher = new ResizeObserver(() => { redraw(); fetchCrop(); });
  watcher.observe(stage);
  draw();
  drawLegend();
  showScores();
  root.dataset.ready = "true";
  return () => { watcher.disconnect(); model.off("msg:custom", receive); };
}

export default { render: renderScene };
