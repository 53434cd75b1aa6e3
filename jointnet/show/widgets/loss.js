// LossExplorer: what each loss asks of an easy and of a hard pixel. The formulas are those of network/losses.py.

const LINES = {
  cross_entropy: ["cross-entropy", "#0072b2", ""],
  focal: ["focal", "#d55e00", "7 4"],
  dice: ["Dice", "#009e73", "2 3"],
};

/** Loss of a pixel and the size of its gradient at the network's output before the sigmoid, times the patch's pixels. */
const LOSSES = {
  cross_entropy: (p) => [-Math.log(p), 1 - p],
  focal(p, { gamma, alpha, foreground }) {
    const weight = foreground ? alpha : 1 - alpha;
    const left = Math.pow(1 - p, gamma);
    return [-weight * left * Math.log(p), weight * left * Math.abs(gamma * p * Math.log(p) + p - 1)];
  },
  /** 1 - (2 I + 1) / (T + 1) over a patch whose other pixels are given `rest` for their truth; this pixel is one more. */
  dice(p, { foreground, share, rest, pixels }) {
    const truth = share * pixels;
    const y = foreground ? 1 : 0, q = foreground ? p : 1 - p; // q: probability of foreground
    const overlap = truth * rest + y * q;
    const total = truth + (truth * rest + (pixels - truth) * (1 - rest)) + y + q;
    const slope = -(2 * y * (total + 1) - (2 * overlap + 1)) / (total + 1) ** 2;
    return [1 - (2 * overlap + 1) / (total + 1), Math.abs(slope * q * (1 - q)) * pixels];
  },
};

/** A ratio as people say it: one decimal, and of large ones two digits. */
const times = (ratio) => (ratio < 100 ? ratio.toFixed(1) : Number(ratio.toPrecision(2)).toLocaleString("en"));

/** A chart of lines over p in (0, 1): [{name, points: [[p, y]]}], with marked values of p. */
function chart(title, label, series, top, marks) {
  const W = 460, H = 280, L = 52, R = 12, T = 30, B = 42;
  const x = (p) => L + p * (W - L - R), y = (v) => H - B - Math.min(v / top, 1.02) * (H - T - B);
  const root = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title, class: "jn-chart" });
  root.append(svg("text", { x: L, y: 18, class: "jn-title" }, title));
  const step = roundLength(top / 3);
  for (let v = 0; v <= top * 1.001; v += step) {
    root.append(svg("line", { x1: L, x2: W - R, y1: y(v), y2: y(v), class: "jn-grid" }));
    root.append(svg("text", { x: L - 6, y: y(v) + 4, "text-anchor": "end" }, v.toFixed(step < 1 ? 1 : 0)));
  }
  for (let i = 0; i <= 5; i++) root.append(svg("text", { x: x(i / 5), y: H - B + 16, "text-anchor": "middle" }, (i / 5).toFixed(1)));
  root.append(svg("text", { x: (L + W - R) / 2, y: H - 6, "text-anchor": "middle" }, "probability given to the truth"));
  root.append(svg("text", { x: 12, y: (T + H - B) / 2, transform: `rotate(-90 12 ${(T + H - B) / 2})`, "text-anchor": "middle" }, label));
  for (const [name, p] of marks) {
    root.append(svg("line", { x1: x(p), x2: x(p), y1: T, y2: H - B, class: "jn-mark" }));
    root.append(svg("text", { x: x(p) + (p > 0.8 ? -4 : 4), y: T + 10, "text-anchor": p > 0.8 ? "end" : "start" }, name));
  }
  for (const { name, points } of series) {
    const [, colour, dash] = LINES[name];
    const path = points.filter(([, v]) => v <= top * 1.02).map(([p, v], i) => `${i ? "L" : "M"}${x(p).toFixed(1)},${y(v).toFixed(1)}`);
    root.append(svg("path", { d: path.join(""), fill: "none", stroke: colour, "stroke-width": 2.5, "stroke-dasharray": dash }));
  }
  return root;
}

function renderLoss({ model, el }) {
  const charts = h("div", { class: "jn-charts" });
  const table = h("table", { class: "jn-table" });
  const legend = h("div", { class: "jn-bar jn-legendline" });
  fillLegend(legend, Object.values(LINES).map(([name, colour]) => [colour, name]));
  const sentence = h("p", { class: "jn-sentence", "aria-live": "polite" });
  const percent = (v) => `${(100 * v).toFixed(v < 0.1 ? 1 : 0)} %`;
  const root = h("div", { class: "jn jn-loss", "data-ready": "false" },
    h("div", { class: "jn-bar" },
      slider(model, "gamma", "focal γ", { max: 5, step: 0.1, format: (v) => v.toFixed(1) }),
      slider(model, "alpha", "focal α", { min: 0.05, max: 0.95, step: 0.05 }),
      slider(model, "easy", "easy pixel", { min: 0.5, max: 0.99 }),
      slider(model, "hard", "hard pixel", { min: 0.01, max: 0.5 }),
      choice(model, "truth", "the pixel is", [["foreground", "foreground"], ["background", "background"]]),
      slider(model, "share", "foreground in the patch", { min: 0.001, max: 0.5, step: 0.001, format: percent }),
      slider(model, "rest", "the other pixels' probability", { min: 0.5, max: 0.99 })),
    legend, charts, sentence, table, errorLine(model));
  el.append(root);

  function draw() {
    const setting = {
      gamma: model.get("gamma"), alpha: model.get("alpha"), foreground: model.get("truth") === "foreground",
      share: model.get("share"), rest: model.get("rest"), pixels: model.get("pixels"),
    };
    const easy = model.get("easy"), hard = model.get("hard");
    const at = Array.from({ length: 199 }, (_, i) => (i + 1) / 200);
    const lines = (k) => Object.keys(LINES).map((name) => ({ name, points: at.map((p) => [p, LOSSES[name](p, setting)[k]]) }));
    const gradients = lines(1);
    const peak = Math.max(1, ...gradients.flatMap((s) => s.points.map((p) => p[1])));
    const marks = [["hard", hard], ["easy", easy]];
    charts.replaceChildren(
      chart("Loss of one pixel", "loss", lines(0), 4, marks),
      chart("How hard it pulls: size of the gradient", "gradient", gradients, peak * 1.05, marks));
    const found = Object.fromEntries(Object.keys(LINES).map((name) => [name, [easy, hard].map((p) => LOSSES[name](p, setting)[1])]));
    root.dataset.gradients = JSON.stringify(found);
    const number = (v) => (v >= 0.001 ? v.toFixed(4) : v.toExponential(1));
    table.replaceChildren(
      h("caption", {}, "Gradient at the logit, in units of one pixel's share of the mean"),
      h("thead", {}, h("tr", {}, ...["loss", "easy pixel", "hard pixel", "hard : easy"].map((t) => h("th", { scope: "col" }, t)))),
      h("tbody", {}, ...Object.entries(found).map(([name, [e, d]]) => h("tr", {},
        h("th", { scope: "row" }, LINES[name][0]), h("td", {}, number(e)), h("td", {}, number(d)), h("td", {}, `${times(d / e)} : 1`)))));
    const [e, d] = found.focal, [ce, cd] = found.cross_entropy;
    sentence.textContent = `With γ = ${setting.gamma.toFixed(1)} a hard pixel pulls ${times(d / e)} times as hard as an easy one; `
      + `with cross-entropy it is ${times(cd / ce)} times.`;
  }
  const redraw = oncePerFrame(draw);
  for (const trait of ["gamma", "alpha", "easy", "hard", "truth", "share", "rest"]) model.on(`change:${trait}`, redraw);
  draw();
  root.dataset.ready = "true";
}

export default { render: renderLoss };
