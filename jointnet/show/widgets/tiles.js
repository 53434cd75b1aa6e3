// TileBrowser: a SceneExplorer that is given another tile. The tile is asked of Python, or taken from the page.

async function renderTiles({ model, el }) {
  const tiles = model.get("tiles"), packs = model.get("packs");
  const cities = [...new Set(tiles.map((t) => t.city))].filter(Boolean).sort();
  const listed = () => tiles.filter((t) => model.get("city") === "all" || t.city === model.get("city"));

  const id = `jn-tile-${++labelCount}`;
  const select = h("select", { id, class: "jn-select jn-tile", "data-lm-suppress-shortcuts": "true",
    onchange: () => turnTo(select.value) });
  const count = h("span", { class: "jn-count", "aria-live": "polite" });
  const holder = h("div", { class: "jn-view" });
  const root = h("div", { class: "jn jn-tiles", "data-ready": "false" },
    h("div", { class: "jn-bar" },
      cities.length > 1 ? choice(model, "city", "city", [["all", "all cities"], ...cities.map((c) => [c, c])]) : null,
      h("span", { class: "jn-field" }, h("label", { for: id }, "tile"), select),
      button("◂", "previous tile", () => step(-1)), button("▸", "next tile", () => step(1)), count),
    holder);
  el.append(root);

  function turnTo(name) {
    if (name === model.get("tile")) return;
    model.set("tile", name);
    model.save_changes();
    const pack = packs[name];
    if (!pack) return; // Python answers with another `about`
    for (const [trait, value] of Object.entries({ view: [], ...pack })) {
      const binary = ["image", "probability", "truth", "points", "ends"].includes(trait);
      model.set(trait, binary ? new DataView(Uint8Array.from(atob(value), (c) => c.charCodeAt(0)).buffer) : value);
    }
  }
  function step(by) {
    const names = listed().map((t) => t.name);
    const at = names.indexOf(model.get("tile"));
    turnTo(names[Math.min(Math.max(at + by, 0), names.length - 1)]);
  }
  function list() {
    const names = listed().map((t) => t.name);
    select.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
    if (!names.includes(model.get("tile"))) turnTo(names[0]);
    describe();
  }
  function describe() {
    const names = listed().map((t) => t.name);
    select.value = model.get("tile");
    count.textContent = `${names.indexOf(model.get("tile")) + 1} of ${names.length}: ${model.get("says")}`;
  }

  let scene = null, ending = null;
  async function showScene() {
    const mine = scoped(model);
    scene?.release();
    scene = mine;
    ending?.();
    ending = null;
    const place = h("div");
    const height = holder.offsetHeight;
    if (height) holder.style.minHeight = `${height}px`; // the page must not jump while another tile is drawn
    holder.replaceChildren(place);
    const end = await renderScene({ model: mine, el: place });
    if (scene !== mine) { end(); mine.release(); return; } // another one was chosen meanwhile
    ending = end;
    root.dataset.tile = model.get("about").name;
  }

  model.on("change:city", list);
  for (const trait of ["tile", "says"]) model.on(`change:${trait}`, describe);
  model.on("change:about", showScene);
  list();
  await showScene();
  root.dataset.ready = "true";
  return () => { scene?.release(); ending?.(); };
}

export default { render: renderTiles };
