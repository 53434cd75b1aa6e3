// Backdrop: the ground of a map in the theme's colours, and a word where its tiles from the internet do not come.

const OFFLINE = "The basemap did not come: there is no network, or its server does not answer. The layers need none.";

/** Whether tiles of a map were lost and none came; those that the map holds itself (data: URLs) do not count. */
function lostTiles(map) {
  const ended = [...map.querySelectorAll("img.leaflet-tile")].filter((t) => t.src.startsWith("http") && t.complete);
  return ended.length > 0 && ended.every((t) => t.naturalWidth === 0);
}

function renderBackdrop({ el }) {
  const note = h("div", { class: "jn-card jn-offline", role: "status", hidden: true });
  el.append(note);
  let map = null, over = false;
  const look = oncePerFrame(() => {
    const lost = lostTiles(map);
    if (lost !== note.hidden) return;
    note.hidden = !lost;
    note.textContent = lost ? OFFLINE : "";
  });
  const watcher = new MutationObserver(look);
  const settle = () => {  // a map is put into the page after what lies on it
    map = el.closest(".leaflet-container");
    if (!map) { if (!over) requestAnimationFrame(settle); return; }
    map.classList.add("jn-map");
    for (const end of ["load", "error"]) map.addEventListener(end, look, true);  // of images, which do not bubble
    watcher.observe(map.querySelector(".leaflet-tile-pane"), { childList: true, subtree: true });
    look();
  };
  settle();
  return () => {
    over = true;
    watcher.disconnect();
    for (const end of ["load", "error"]) map?.removeEventListener(end, look, true);
  };
}

export default { render: renderBackdrop };
