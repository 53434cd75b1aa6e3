// PatchExplorer: patches in a grid, filtered by city and foreground; the one that is chosen in all its augmentations.

/** Where (y, x) of a turned patch comes from; the same eight symmetries as data/augment.py. */
function comesFrom(symmetry, side, y, x) {
  if (symmetry >= 4) x = side - 1 - x;
  for (let turns = symmetry % 4; turns > 0; turns--) [y, x] = [x, side - 1 - y];
  return [y, x];
}

const TURNS = ["as it is", "turned 90°", "turned 180°", "turned 270°"];

async function renderPatches({ model, el }) {
  const about = model.get("about");
  const { side, columns, patches, outline, tables } = about;
  const photo = await bitmapOf(model.get("photos")), codes = await greyOf(model.get("masks"));
  const canvas = new OffscreenCanvas(photo.width, photo.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(photo, 0, 0);
  const yellow = [1, 3, 5].map((i) => parseInt(outline.slice(i, i + 2), 16));

  /** Draws a patch, turned and under another light, with its mask. */
  function paint(target, index, symmetry = 0, table = null) {
    const left = (index % columns) * side, top = Math.floor(index / columns) * side;
    const source = context.getImageData(left, top, side, side).data;
    const image = new ImageData(side, side);
    const code = (y, x) => codes.data[(top + y) * codes.width + left + x];
    const rim = (y, x) => [[-1, 0], [1, 0], [0, -1], [0, 1]].some(([dy, dx]) =>
      y + dy < 0 || x + dx < 0 || y + dy >= side || x + dx >= side || code(y + dy, x + dx) !== 1);
    const masked = model.get("show_mask");
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const [sy, sx] = comesFrom(symmetry, side, y, x);
        const from = 4 * (sy * side + sx), to = 4 * (y * side + x);
        const black = !(source[from] | source[from + 1] | source[from + 2]);
        const kind = code(sy, sx);
        const share = masked && kind === 1 ? (rim(sy, sx) ? 1 : 0.25) : 0;
        for (let b = 0; b < 3; b++) {
          let value = source[from + b];
          if (table && !black) value = table[3 * value + b];
          if (masked && kind === 2) value = (x + y) % 8 < 4 ? 120 : 160;
          image.data[to + b] = value * (1 - share) + yellow[b] * share;
        }
        image.data[to + 3] = 255;
      }
    }
    target.width = side;
    target.height = side;
    target.getContext("2d").putImageData(image, 0, 0);
  }

  const percent = (v) => `${(100 * v).toFixed(0)} %`;
  const words = (p) => `${p.scene}, row ${p.row}, column ${p.col}, ${percent(p.share)} foreground`;
  const tiles = patches.map((p, index) => {
    return h("button", { type: "button", class: "jn-patch", title: words(p), "aria-label": words(p), onclick: () => select(index) },
      h("canvas"), h("span", {}, percent(p.share)));
  });
  const select = (index) => { model.set("selected", index); model.save_changes(); };
  const grid = h("div", { class: "jn-grid-patches", role: "group", "aria-label": "patches; arrow keys choose another" }, ...tiles);
  movedByArrows(grid, () => tiles, select);
  const count = h("span", { class: "jn-count", "aria-live": "polite" });
  const name = h("strong");
  const versions = h("div", { class: "jn-versions" });
  const detail = h("div", { class: "jn-half" }, h("div", { class: "jn-about" }, name), versions);
  const none = h("p", { class: "jn-sentence", hidden: true }, "No patch has this share of foreground here; widen the filter.");
  const root = h("div", { class: "jn jn-patches", "data-ready": "false" },
    h("div", { class: "jn-bar" },
      choice(model, "city", "city", [["all", "all cities"], ...about.cities.map((c) => [c, c])]),
      slider(model, "low", "foreground from", { step: 0.01, format: percent }),
      slider(model, "high", "to", { step: 0.01, format: percent }),
      toggle(model, "show_mask", "mask"), count),
    h("div", { class: "jn-halves" }, h("div", { class: "jn-half" }, grid, none), detail),
    h("div", { class: "jn-foot" }, h("span", {}, "pale yellow: mask; striped grey: not counted"), h("span", {}, about.note)),
    errorLine(model));
  el.append(root);

  function filter() {
    const city = model.get("city"), low = model.get("low"), high = model.get("high");
    let shown = 0;
    patches.forEach((p, i) => {
      tiles[i].hidden = !((city === "all" || p.city === city) && p.share >= low && p.share <= high);
      shown += !tiles[i].hidden;
    });
    none.hidden = shown > 0;
    detail.hidden = shown === 0;
    count.textContent = `${shown} of ${patches.length} patches`;
    if (shown && tiles[model.get("selected")].hidden) select(tiles.findIndex((tile) => !tile.hidden));
    else markPressed(tiles, model.get("selected"));
  }

  function choose() {
    const index = model.get("selected");
    markPressed(tiles, index);
    name.textContent = words(patches[index]);
    versions.replaceChildren();
    const add = (text, symmetry, table) => {
      const picture = h("canvas", { role: "img", "aria-label": text });
      paint(picture, index, symmetry, table);
      versions.append(h("figure", {}, picture, h("figcaption", {}, text)));
    };
    for (let s = 0; s < 8; s++) add(s < 4 ? TURNS[s] : s === 4 ? "mirrored" : `${TURNS[s - 4]}, mirrored`, s, null);
    tables.forEach((table, i) => add(`other light ${i + 1}`, 0, table));
  }

  function paintAll() {
    tiles.forEach((tile, i) => paint(tile.firstChild, i));
    choose();
  }

  for (const trait of ["city", "low", "high"]) model.on(`change:${trait}`, filter);
  model.on("change:selected", choose);
  model.on("change:show_mask", paintAll);
  paintAll();
  filter();
  root.dataset.ready = "true";
}

export default { render: renderPatches };
