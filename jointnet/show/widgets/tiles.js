// TileBrowser: a SceneExplorer that is given another tile. The tile is asked of Python, or taken from the page.

async function renderTiles({ model, el }) {
  const names = () => model.get("tiles").filter((t) => ["all", t.city].includes(model.get("city"))).map((t) => t.name);
  const turnTo = (name) => turnToTile(model, name);
  const step = (by) => {
    const listed = names(), at = listed.indexOf(model.get("tile"));
    turnTo(listed[Math.min(Math.max(at + by, 0), listed.length - 1)]);
  };
  const { bar, select, count } = buildTileBar(model, turnTo, step);
  const place = h("div", { class: "jn-view" });
  const root = h("div", { class: "jn jn-tiles", "data-ready": "false" }, bar, place);
  el.append(root);

  const describe = () => {
    const listed = names();
    select.value = model.get("tile");
    count.textContent = `${listed.indexOf(model.get("tile")) + 1} of ${listed.length}: ${model.get("says")}`;
  };
  const list = () => {
    const listed = names();
    select.replaceChildren(...listed.map((name) => h("option", { value: name }, name)));
    if (!listed.includes(model.get("tile"))) turnTo(listed[0]);
    describe();
  };
  const holder = sceneHolder(model, place);
  const showScene = async () => {
    const height = place.offsetHeight;
    if (height) place.style.minHeight = `${height}px`; // the page must not jump while another tile is drawn
    if (await holder.show()) root.dataset.tile = model.get("about").name;
  };

  model.on("change:city", list);
  for (const trait of ["tile", "says"]) model.on(`change:${trait}`, describe);
  model.on("change:about", showScene);
  list();
  await showScene();
  root.dataset.ready = "true";
  return holder.release;
}

/** Makes another tile the one that is shown: Python answers with another `about`, or the page holds it. */
function turnToTile(model, name) {
  if (name === model.get("tile")) return;
  model.set("tile", name);
  model.save_changes();
  const pack = model.get("packs")[name];
  if (pack) setAll(model, { view: [], ...unpack(pack) });
}

/** The bar: city, tile, a step back and forth, and which tile of how many is shown. */
function buildTileBar(model, turnTo, step) {
  const id = `jn-tile-${++labelCount}`;
  const select = h("select", { id, class: "jn-select jn-tile", "data-lm-suppress-shortcuts": "true",
    onchange: () => turnTo(select.value) });
  const count = h("span", { class: "jn-count", "aria-live": "polite" });
  const cities = [...new Set(model.get("tiles").map((t) => t.city))].filter(Boolean).sort();
  const bar = h("div", { class: "jn-bar" },
    cities.length > 1 ? choice(model, "city", "city", [["all", "all cities"], ...cities.map((c) => [c, c])]) : null,
    h("span", { class: "jn-field" }, h("label", { for: id }, "tile"), select),
    button("◂", "previous tile", () => step(-1)), button("▸", "next tile", () => step(1)), count);
  return { bar, select, count };
}

export default { render: renderTiles };
