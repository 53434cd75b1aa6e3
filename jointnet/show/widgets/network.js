// NetworkExplorer: what one output pixel sees through a stack of dilations, and what a network's layers make of a patch.

const SETS = [
  ["1,2,5,1,2,5", "1 2 5 1 2 5 (JointNet)"], ["1,1,1,1,1,1", "1 1 1 1 1 1 (no dilation)"],
  ["2,2,2,2,2,2", "2 2 2 2 2 2 (gridding)"], ["1,2,4,8", "1 2 4 8"], ["5,5,5", "5 5 5"], ["1,2,5", "1 2 5"],
];

/** Ways from each input pixel to the output pixel in the middle, row by row; as count_paths in receptive_field.py. */
function countPaths(rates, dense) {
  const side = 1 + 2 * rates.reduce((a, b) => a + b, 0);
  let paths = new Float64Array(side * side);
  paths[((side * side) - 1) / 2] = 1;
  for (const rate of rates) {
    const next = dense ? paths.slice() : new Float64Array(side * side);
    for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) {
      const ways = paths[y * side + x];
      if (!ways) continue;
      for (let dy = -rate; dy <= rate; dy += rate) for (let dx = -rate; dx <= rate; dx += rate) next[(y + dy) * side + x + dx] += ways;
    }
    paths = next;
  }
  return { side, paths };
}

async function renderNetwork({ model, el }) {
  const about = model.get("about");
  const ramp = about.ramp;
  const field = h("canvas", { class: "jn-field-map", role: "img" });
  const seen = h("p", { class: "jn-sentence jn-seen", "aria-live": "polite" });
  const rates = h("input", { class: "jn-select jn-rates", id: `jn-rates-${++labelCount}`, "data-lm-suppress-shortcuts": "true",
    spellcheck: "false", inputmode: "numeric" });
  const sets = h("select", { class: "jn-select", "aria-label": "well-known rates", "data-lm-suppress-shortcuts": "true" },
    h("option", { value: "" }, "choose …"), ...SETS.map(([value, text]) => h("option", { value }, text)));
  const wrong = h("span", { class: "jn-wrong", role: "alert", hidden: true }, "give one to eight whole numbers from 1 to 12");
  const legend = h("div", { class: "jn-bar jn-legendline" });
  fillLegend(legend, [["#ffffff", "never looked at"],
    [`linear-gradient(90deg, ${[0, 64, 128, 192, 255].map((i) => ramp[i]).join(",")})`, "one way … many ways (logarithm)"]]);
  const alone = about.layers.length === 0; // the field then has the other half for itself
  const left = h("div", { class: "jn-half" }, h("div", { class: "jn-about" }, h("strong", {}, "What one pixel sees")),
    h("div", { class: "jn-bar" },
      h("span", { class: "jn-field" }, h("label", { for: rates.id }, "dilation rates"), rates), sets,
      toggle(model, "dense", "joined as in the block"), wrong),
    legend, alone ? null : field, seen);

  function setRates(text) {
    const numbers = text.split(/[\s,;]+/).filter(Boolean).map(Number);
    const good = numbers.length >= 1 && numbers.length <= 8 && numbers.every((n) => Number.isInteger(n) && n >= 1 && n <= 12);
    wrong.hidden = good;
    rates.setAttribute("aria-invalid", String(!good));
    if (good) { model.set("rates", numbers); model.save_changes(); }
  }
  rates.addEventListener("change", () => setRates(rates.value));
  rates.addEventListener("keydown", (event) => {  // in a notebook Enter alone ends no input
    if (event.key !== "Enter") return;
    event.stopPropagation();
    setRates(rates.value);
  });
  sets.addEventListener("change", () => { if (sets.value) setRates(sets.value); });

  function drawField() {
    rates.value = model.get("rates").join(", ");
    const { side, paths } = countPaths(model.get("rates"), model.get("dense"));
    const most = Math.log(Math.max(...paths) + 1);
    const image = new ImageData(side, side);
    const out = new Uint32Array(image.data.buffer);
    let unseen = 0;
    paths.forEach((ways, i) => {
      out[i] = ways ? word(ramp[Math.round((255 * Math.log(ways + 1)) / most)]) : word("#ffffff");
      unseen += !ways;
    });
    field.width = side;
    field.height = side;
    field.getContext("2d").putImageData(image, 0, 0);
    const share = (100 * unseen) / (side * side);
    seen.textContent = `One output pixel sees ${side} × ${side} pixels; ${share.toFixed(share && share < 10 ? 1 : 0)} % of them it never looks at.`;
    field.setAttribute("aria-label", seen.textContent);
    root.dataset.field = `${side},${unseen}`;
  }

  const maps = h("div", { class: "jn-maps", role: "group", "aria-label": "channels; arrow keys choose another" });
  const facts = h("p", { class: "jn-sentence jn-facts" });
  const patch = h("canvas", { class: "jn-input", role: "img", "aria-label": "the patch" });
  const large = h("canvas", { role: "img" }), caption = h("figcaption", { "aria-live": "polite" });
  let pictures = [];
  const select = (number) => { model.set("channel", number); model.save_changes(); };
  movedByArrows(maps, () => pictures, select);
  const right = alone ? h("div", { class: "jn-half" }, field) : h("div", { class: "jn-half" },
    h("div", { class: "jn-about" }, h("strong", {}, "What its layers make of a patch")),
    h("div", { class: "jn-bar" }, choice(model, "layer", "layer", about.layers.map((n) => [n, n]))),
    h("div", { class: "jn-patchline" }, h("figure", {}, patch, h("figcaption", {}, "the patch")),
      h("figure", { class: "jn-large" }, large, caption)), facts, maps);
  const root = h("div", { class: "jn jn-network", "data-ready": "false" }, h("div", { class: "jn-halves" }, left, right),
    about.note ? h("div", { class: "jn-foot" }, h("span", {}, about.note)) : null, errorLine(model));
  el.append(root);

  async function drawMaps() {
    if (alone) return;
    const found = model.get("found"), sheet = await greyOf(model.get("maps"));
    if (!sheet) return;
    const { height, width, columns, channels, ranges, flat } = found;
    const table = ramp.map((c) => word(c));
    maps.replaceChildren(...ranges.map(([low, high], i) => {
      const canvas = h("canvas");
      canvas.width = width;
      canvas.height = height;
      const image = new ImageData(width, height);
      const out = new Uint32Array(image.data.buffer);
      const top = Math.floor(i / columns) * height, leftmost = (i % columns) * width;
      for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) out[y * width + x] = table[sheet.data[(top + y) * sheet.width + leftmost + x]];
      canvas.getContext("2d").putImageData(image, 0, 0);
      return h("figure", {}, h("button", { type: "button", class: "jn-channel", "aria-label": `channel ${i}`,
        title: `channel ${i}: ${low} to ${high}`, onclick: () => select(i) }, canvas), h("figcaption", {}, String(i)));
    }));
    pictures = [...maps.querySelectorAll("button")];
    enlarge();
    facts.textContent = `${found.layer}: ${channels} channels of ${found.rows} × ${found.cols} pixels`
      + (ranges.length < channels ? `, the first ${ranges.length} shown` : "")
      + `. ${flat} of them are the same in 99 pixels of 100 or more. Each is stretched from its smallest to its largest value.`;
    root.dataset.layer = found.layer;
  }

  /** Shows the channel that is chosen as large as the patch, and says how far its values reach. */
  function enlarge() {
    if (!pictures.length) return;
    const number = Math.min(model.get("channel"), pictures.length - 1);
    const source = pictures[number].firstChild, [low, high] = model.get("found").ranges[number];
    large.width = source.width;
    large.height = source.height;
    large.getContext("2d").drawImage(source, 0, 0);
    caption.textContent = `channel ${number}: ${low} (dark) to ${high} (bright)`;
    large.setAttribute("aria-label", caption.textContent);
    markPressed(pictures, number);
  }

  async function drawPatch() {
    const bitmap = await bitmapOf(model.get("patch"));
    if (!bitmap) return;
    patch.width = bitmap.width;
    patch.height = bitmap.height;
    patch.getContext("2d").drawImage(bitmap, 0, 0);
  }

  for (const trait of ["rates", "dense"]) model.on(`change:${trait}`, drawField);
  model.on("change:maps", drawMaps);
  model.on("change:channel", enlarge);
  model.on("change:patch", drawPatch);
  drawField();
  await drawPatch();
  await drawMaps();
  root.dataset.ready = "true";
}

export default { render: renderNetwork };
