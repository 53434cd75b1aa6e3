// Parts that every explorer is built of. Joined in front of each explorer's own file by base.py; nothing is imported.

/** An element: h("button", {class: "jn-button", onclick: f}, "text", child). */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((c) => c !== null && c !== undefined));
  return element;
}

let labelCount = 0;

/** A labelled range input bound to a trait. JupyterLab leaves its arrow keys alone because of data-lm-suppress-shortcuts. */
function slider(model, trait, label, { min = 0, max = 1, step = 0.01, format = (v) => v.toFixed(2), rest = 60 } = {}) {
  const id = `jn-${trait}-${++labelCount}`;
  const input = h("input", { type: "range", id, min, max, step, "data-lm-suppress-shortcuts": "true", class: "jn-range" });
  const output = h("output", { for: id, class: "jn-value" });
  const save = afterRest(() => model.save_changes(), rest);
  const show = () => {
    input.value = model.get(trait);
    output.textContent = format(Number(model.get(trait)));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => { model.set(trait, Number(input.value)); save(); });
  model.on(`change:${trait}`, show);
  show();
  return h("span", { class: "jn-field" }, h("label", { for: id }, label), input, output);
}

/** A labelled drop-down bound to a trait; options are [value, text] pairs. */
function choice(model, trait, label, options) {
  const id = `jn-${trait}-${++labelCount}`;
  const select = h("select", { id, class: "jn-select", "data-lm-suppress-shortcuts": "true" },
    ...options.map(([value, text]) => h("option", { value }, text)));
  const show = () => { select.value = String(model.get(trait)); };
  select.addEventListener("change", () => {
    const kind = typeof model.get(trait);
    model.set(trait, kind === "number" ? Number(select.value) : select.value);
    model.save_changes();
  });
  model.on(`change:${trait}`, show);
  show();
  return h("span", { class: "jn-field" }, h("label", { for: id }, label), select);
}

/** A labelled check box bound to a trait. */
function toggle(model, trait, label) {
  const input = h("input", { type: "checkbox" });
  const show = () => { input.checked = Boolean(model.get(trait)); };
  input.addEventListener("change", () => { model.set(trait, input.checked); model.save_changes(); });
  model.on(`change:${trait}`, show);
  show();
  return h("label", { class: "jn-field jn-toggle" }, input, label);
}

/** A button. */
function button(text, label, action) {
  return h("button", { type: "button", class: "jn-button", title: label, "aria-label": label, onclick: action }, text);
}

/** A line that shows what went wrong in Python, where a notebook would swallow it. */
function errorLine(model) {
  const line = h("div", { class: "jn-error", role: "alert" });
  const show = () => { line.textContent = model.get("error"); line.hidden = !model.get("error"); };
  model.on("change:error", show);
  show();
  return line;
}

/** Keeps an event from the page and from JupyterLab. */
function swallow(event) {
  event.preventDefault();
  event.stopPropagation();
}

/** Lets arrow keys, Home and End move among the buttons of a grid that are seen; the notebook, which would go to another
 * cell, does not hear of them. `choose` gets the number of the button that was moved to. */
function movedByArrows(grid, buttons, choose) {
  grid.setAttribute("data-lm-suppress-shortcuts", "true");
  grid.addEventListener("keydown", (event) => {
    const seen = buttons().filter((b) => !b.hidden), at = seen.indexOf(event.target.closest("button"));
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const across = seen.filter((b) => b.offsetTop === seen[0].offsetTop).length;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + across, ArrowUp: at - across, Home: 0, End: seen.length - 1 };
    if (!(event.key in to)) return;
    swallow(event);
    if (!seen[to[event.key]]) return;
    choose(buttons().indexOf(seen[to[event.key]]));
    seen[to[event.key]].focus();
  });
}

/** Marks the button that is chosen. It alone is reached by Tab, or the first that is seen where it is not. */
function markPressed(buttons, chosen) {
  const seen = buttons.filter((b) => !b.hidden);
  const reached = seen.includes(buttons[chosen]) ? buttons[chosen] : seen[0];
  buttons.forEach((b, i) => {
    b.setAttribute("aria-pressed", String(i === chosen));
    b.tabIndex = b === reached ? 0 : -1;
  });
}

/** Coloured squares with names; entries are [css colour or gradient, text]. */
function fillLegend(element, entries) {
  element.replaceChildren(...entries.map(([colour, text]) =>
    h("span", { class: "jn-key" }, h("span", { class: `jn-swatch${colour.startsWith("linear") ? " jn-wide" : ""}`, style: `background:${colour}` }), text)));
  element.hidden = entries.length === 0;
}

/** The function, run once the calls have stopped for `wait` milliseconds. */
function afterRest(action, wait) {
  let timer = null;
  return () => { clearTimeout(timer); timer = setTimeout(action, wait); };
}

/** The function, run at most once a frame. */
function oncePerFrame(action) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; action(); });
  };
}

/** A Uint8Array over a trait's bytes, which arrive as a DataView. */
function bytesOf(view) {
  return view ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array(0);
}

/** An ImageBitmap of encoded image bytes, its values untouched by colour management; null for none. */
async function bitmapOf(view) {
  const bytes = bytesOf(view);
  return bytes.length ? createImageBitmap(new Blob([bytes]), { colorSpaceConversion: "none" }) : null;
}

/** The grey values of encoded image bytes: {width, height, data: Uint8Array}; null for none. */
async function greyOf(view) {
  const bitmap = await bitmapOf(view);
  if (!bitmap) return null;
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const colours = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  const data = new Uint8Array(bitmap.width * bitmap.height);
  for (let i = 0; i < data.length; i++) data[i] = colours[4 * i];
  return { width: bitmap.width, height: bitmap.height, data };
}

/** "#RRGGBB" and an opacity in [0, 255] as one little-endian RGBA word of an ImageData. */
function word(colour, alpha = 255) {
  const value = parseInt(colour.slice(1), 16);
  return ((alpha << 24) | ((value & 255) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}

/** The largest of 1, 2, 5, 10, 20, ... that is at most `length`. */
function roundLength(length) {
  const power = 10 ** Math.floor(Math.log10(length));
  return Math.max(...[1, 2, 5].map((s) => s * power).filter((s) => s <= length * (1 + 1e-9)));
}

/** Sets a canvas to its CSS size on this screen and returns the screen's pixels per CSS pixel. */
function fitCanvas(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  return ratio;
}

/** An element of a drawing: svg("text", {x: 1, y: 2}, "text"). */
function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A model whose listeners can be let go together: a scene that is replaced must not listen on. */
function scoped(model) {
  const held = [];
  return {
    get: (name) => model.get(name),
    set: (name, value) => model.set(name, value),
    save_changes: () => model.save_changes(),
    send: (...message) => model.send(...message),
    on(event, call) { held.push([event, call]); model.on(event, call); },
    off(event, call) { model.off(event, call); },
    release() { for (const [event, call] of held) model.off(event, call); },
  };
}

/** Traits as a page carries them, {values, binary: names of those in base64}, in the form that Jupyter hands them over. */
function unpack({ values, binary }) {
  const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  return { ...values, ...Object.fromEntries(binary.map((name) => [name, bytes(values[name])])) };
}

/** Sets traits of a model one after the other, in their order. */
function setAll(model, values) {
  for (const [trait, value] of Object.entries(values)) model.set(trait, value);
}
