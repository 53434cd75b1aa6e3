// TrainingMonitor: loss by step, scores by epoch, patches that sharpen, and Stop.

const SERIES = [
  ["val_iou", "IoU, validation", "#d55e00", ""],
  ["iou", "IoU, training (dashed)", "#009e73", "6 4"],
];

/** Lines over x in [0, right]: [{points, colour, dash}]; y runs from 0 to top. */
function lines(title, below, series, right, top, digits) {
  const W = 460, H = 230, L = 46, R = 14, T = 30, B = 40;
  const x = (v) => L + (v / Math.max(right, 1)) * (W - L - R), y = (v) => H - B - Math.min(v / top, 1) * (H - T - B);
  const now = series.filter((s) => s.points.length).map((s) => `${s.name} ${s.points[s.points.length - 1][1].toFixed(2)}`);
  const spoken = now.length ? `${title}: ${now.join(", ")} at ${below} ${right}` : `${title}: nothing yet`;
  const root = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "jn-chart", role: "img", "aria-label": spoken });
  root.append(svg("text", { x: L, y: 18, class: "jn-title" }, title));
  for (let i = 0; i <= 4; i++) {
    const value = (top * i) / 4;
    root.append(svg("line", { x1: L, x2: W - R, y1: y(value), y2: y(value), class: "jn-grid" }));
    root.append(svg("text", { x: L - 6, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(digits)));
  }
  root.append(svg("text", { x: L, y: H - B + 16, "text-anchor": "middle" }, "0"));
  root.append(svg("text", { x: W - R, y: H - B + 16, "text-anchor": "end" }, String(right)));
  root.append(svg("text", { x: (L + W - R) / 2, y: H - 6, "text-anchor": "middle" }, below));
  for (const { points, colour, dash } of series) {
    const d = points.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)},${y(b).toFixed(1)}`).join("");
    root.append(svg("path", { d, fill: "none", stroke: colour, "stroke-width": 2.5, "stroke-dasharray": dash }));
    for (const [a, b] of points.length < 40 && dash === "" ? points : [])
      root.append(svg("circle", { cx: x(a), cy: y(b), r: 2.5, fill: colour }));
  }
  return root;
}

function renderTraining({ model, el }) {
  const stop = button("Stop", "stop after the running step and keep the last finished epoch", () => {
    model.set("stop", true);
    model.save_changes();
    show();
    setTimeout(interruptIfUnheard, 700);
  });
  // A kernel that is busy hears no widget unless Jupyter gives widgets a subshell; an interrupt it always hears, and
  // training ends on it as it does on Stop.
  function interruptIfUnheard() {
    if (model.get("heard") || model.get("done")) return;
    const kernel = model.widget_manager?.kernel;
    if (kernel) kernel.interrupt();
    else status.textContent = "this notebook cannot reach the busy kernel: interrupt the kernel, which keeps as much";
  }
  const bar = h("progress", { max: 1, class: "jn-progress", "aria-label": "share of all steps done" });
  const status = h("span", { role: "status" });
  const charts = h("div", { class: "jn-charts" });
  const legend = h("div", { class: "jn-bar jn-legendline" });
  fillLegend(legend, [["#0072b2", "loss"], ...SERIES.map(([, text, colour]) => [colour, text])]);
  const sheet = h("img", { class: "jn-sheet", alt: "image, labels and probability of some patches" });
  const caption = h("span", {});
  const root = h("div", { class: "jn jn-training", "data-ready": "false" },
    h("div", { class: "jn-bar" }, stop, bar, status), legend, charts, sheet, h("div", { class: "jn-foot" }, caption),
    errorLine(model));
  el.append(root);

  function draw() {
    const curve = model.get("curve"), history = model.get("history"), steps = model.get("steps_per_epoch");
    const peak = Math.max(0.1, ...curve.map((p) => p[1]));
    const epochs = Math.max(1, ...Object.values(history).map((v) => v.length));
    const scores = SERIES.filter(([name]) => history[name]).map(([name, text, colour, dash]) => (
      { name: text, points: history[name].map((v, i) => [i + 1, v]), colour, dash }));
    const last = curve.length ? curve[curve.length - 1][0] : steps;
    charts.replaceChildren(
      lines("Loss, mean of the last 20 steps", "step", [{ name: "loss", points: curve, colour: "#0072b2", dash: " " }], last,
        Math.ceil(peak * 2.5) / 2.5, 2),
      lines("IoU, pooled over an epoch", "epoch", scores, epochs, 1, 2));
    root.dataset.points = String(curve.length);
    root.dataset.epochs = String((history.loss || []).length);
    show();
  }
  function show() {
    bar.value = model.get("progress");
    status.textContent = model.get("stop") && !model.get("done") ? "stopping after this step" : model.get("status");
    stop.disabled = model.get("stop") || model.get("done");
    caption.textContent = model.get("caption");
  }
  function paint() {
    const bytes = bytesOf(model.get("picture"));
    if (sheet.src) URL.revokeObjectURL(sheet.src);
    sheet.hidden = bytes.length === 0;
    if (bytes.length) sheet.src = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  }
  const redraw = oncePerFrame(draw);
  for (const trait of ["curve", "history", "status", "progress", "stop", "done", "caption"]) model.on(`change:${trait}`, redraw);
  model.on("change:picture", paint);
  draw();
  paint();
  root.dataset.ready = "true";
}

export default { render: renderTraining };
