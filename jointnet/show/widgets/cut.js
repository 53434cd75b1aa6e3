// A threshold for pictures of probability on a map, applied by the browser: no pixel is sent again.
// Python gives pictures whose opacity is the probability; their addresses end in #KEY, and each KEY has a colour.

const SVG = "http://www.w3.org/2000/svg";

/** The style and the filter that show a picture's pixels from a threshold on, all in one colour. */
function rule(key, colour, threshold) {
  const steps = Array.from({ length: 101 }, (_, k) => (k / 100 >= threshold - 1e-9 ? 1 : 0)).join(" ");
  return {
    style: `img[src$="#${key}"] { filter: url(#${key}-cut); }`,
    filter: `<filter id="${key}-cut" color-interpolation-filters="sRGB" x="0" y="0" width="1" height="1">
      <feComponentTransfer in="SourceAlpha" result="cut"><feFuncA type="discrete" tableValues="${steps}"/>
      </feComponentTransfer><feFlood flood-color="${colour}"/><feComposite operator="in" in2="cut"/></filter>`,
  };
}

/** The slider, and its number. */
function slider(model) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "range", min: 0.05, max: 0.95, step: 0.01 });
  const number = document.createElement("span");
  input.setAttribute("aria-label", "threshold");
  input.setAttribute("data-lm-suppress-shortcuts", "true");
  label.append("threshold ", input, " ", number);
  label.style.cssText = "display:flex;gap:6px;margin-left:12px;align-items:center;font:13px system-ui,sans-serif";
  input.addEventListener("input", () => {
    model.set("threshold", Number(input.value));
    model.save_changes();
  });
  return { label, show: () => { input.value = model.get("threshold"); number.textContent = model.get("threshold").toFixed(2); } };
}

/** Lets the browser save bytes as a file. */
function save(name, bytes) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/zip" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function render({ model, el }) {
  const style = document.createElement("style");
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("width", 0);
  svg.setAttribute("height", 0);
  svg.style.position = "absolute";
  const control = slider(model);
  el.append(style, svg, control.label);

  function draw() {
    const rules = Object.entries(model.get("colours")).map(([key, colour]) => rule(key, colour, model.get("threshold")));
    style.textContent = rules.map((r) => r.style).join("\n");
    svg.innerHTML = rules.map((r) => r.filter).join("");
    control.label.style.visibility = rules.length ? "visible" : "hidden";
    control.show();
  }

  const receive = (message, buffers) => { if (message.kind === "save") save(message.name, buffers[0]); };
  model.on("change:threshold", draw);
  model.on("change:colours", draw);
  model.on("msg:custom", receive);
  draw();
  return () => {
    model.off("change:threshold", draw);
    model.off("change:colours", draw);
    model.off("msg:custom", receive);
  };
}

export default { render };
