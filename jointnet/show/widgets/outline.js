// Outlines and lines in pixels of a scene: where they lie, which one a hand means, and how they are drawn. A shape is
// {layer, lines, rings, box}: its rings as flat [col, row, col, row, ...], the box around them [left, top, right, bottom].

/** A shape as Python sends it, ready to be drawn and hit. */
function shapeOf({ layer, rings }, lines) {
  return { layer, lines, rings, box: boxOf(rings) };
}

function boxOf(rings) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const ring of rings) {
    for (let i = 0; i < ring.length; i += 2) {
      box[0] = Math.min(box[0], ring[i]); box[1] = Math.min(box[1], ring[i + 1]);
      box[2] = Math.max(box[2], ring[i]); box[3] = Math.max(box[3], ring[i + 1]);
    }
  }
  return box;
}

/** Whether a place lies within `reach` pixels of a box. */
function isNear(box, col, row, reach) {
  return col >= box[0] - reach && row >= box[1] - reach && col <= box[2] + reach && row <= box[3] + reach;
}

/** Whether a place lies in a polygon, holes left out: how often a ray to the right meets its rings. */
function holds(shape, col, row) {
  if (shape.lines || !isNear(shape.box, col, row, 0)) return false;
  let inside = false;
  for (const ring of shape.rings) {
    for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
      const [x, y, u, v] = [ring[i], ring[i + 1], ring[j], ring[j + 1]];
      if ((y > row) !== (v > row) && col < ((u - x) * (row - y)) / (v - y) + x) inside = !inside;
    }
  }
  return inside;
}

/** The corner of a shape that is nearest to a place: {ring, at, apart}; `at` is the index of its column. */
function nearestCorner(shape, col, row) {
  let best = { apart: Infinity };
  shape.rings.forEach((ring, number) => {
    for (let i = 0; i < ring.length; i += 2) {
      const apart = Math.hypot(ring[i] - col, ring[i + 1] - row);
      if (apart < best.apart) best = { ring: number, at: i, apart };
    }
  });
  return best;
}

/** The place on a shape's edges that is nearest to another: {ring, at, col, row, apart}; `at` is where a corner belongs. */
function nearestEdge(shape, col, row) {
  let best = { apart: Infinity };
  shape.rings.forEach((ring, number) => {
    const last = shape.lines ? ring.length - 2 : ring.length;
    for (let i = 0; i < last; i += 2) {
      const j = (i + 2) % ring.length, along = [ring[j] - ring[i], ring[j + 1] - ring[i + 1]];
      const length = along[0] ** 2 + along[1] ** 2 || 1;
      const t = Math.min(1, Math.max(0, ((col - ring[i]) * along[0] + (row - ring[i + 1]) * along[1]) / length));
      const [x, y] = [ring[i] + t * along[0], ring[i + 1] + t * along[1]], apart = Math.hypot(x - col, y - row);
      if (apart < best.apart) best = { ring: number, at: i + 2, col: x, row: y, apart };
    }
  });
  return best;
}

/** The number of the shape of a layer under a place, the smallest of several; lines count within `reach` pixels. */
function shapeAt(shapes, layer, col, row, reach) {
  let best = null, size = Infinity;
  for (const [number, shape] of shapes) {
    if (shape.layer !== layer || !isNear(shape.box, col, row, reach)) continue;
    if (!holds(shape, col, row) && nearestEdge(shape, col, row).apart > reach) continue;
    const [left, top, right, bottom] = shape.box, area = (right - left) * (bottom - top);
    if (area < size) { best = number; size = area; }
  }
  return best;
}

/** The corner of any shape but one within `reach` pixels of a place, as [col, row]; the place itself where there is none. */
function snapped(shapes, except, [col, row], reach) {
  let best = [col, row], nearest = reach;
  for (const [number, shape] of shapes) {
    if (number === except || !isNear(shape.box, col, row, reach)) continue;
    const corner = nearestCorner(shape, col, row);
    if (corner.apart < nearest) {
      nearest = corner.apart;
      best = shape.rings[corner.ring].slice(corner.at, corner.at + 2);
    }
  }
  return best;
}

/** The length of the shortest side between the corners of a draft, [col, row, col, row, ...]; two on one place are no side. */
function shortestSide(draft) {
  let shortest = Infinity;
  for (let i = 2; i < draft.length; i += 2) {
    const side = Math.hypot(draft[i] - draft[i - 2], draft[i + 1] - draft[i - 1]);
    if (side > 0) shortest = Math.min(shortest, side);
  }
  return shortest;
}

/** A place turned about the last corner so that the new edge runs along, across or at 45 degrees to the one before. */
function squaredTo(draft, [col, row]) {
  const count = draft.length;
  if (count < 2) return [col, row];
  const [x, y] = draft.slice(-2), across = col - x, down = row - y;
  const before = count < 4 ? 0 : Math.atan2(y - draft[count - 3], x - draft[count - 4]);
  const turn = before + Math.round((Math.atan2(down, across) - before) / (Math.PI / 4)) * (Math.PI / 4);
  const length = across * Math.cos(turn) + down * Math.sin(turn);
  return [x + length * Math.cos(turn), y + length * Math.sin(turn)];
}

// ---- drawing

/** Adds a shape to a path. */
function addShape(path, shape) {
  for (const ring of shape.rings) {
    path.moveTo(ring[0], ring[1]);
    for (let i = 2; i < ring.length; i += 2) path.lineTo(ring[i], ring[i + 1]);
    if (!shape.lines) path.closePath();
  }
}

/** The shapes of a layer that meet what is seen, filled faintly under a bright line on a dark one; `pixel` is a CSS one. */
function drawLayer(context, shapes, layer, seen, pixel, strong) {
  const path = new Path2D();
  for (const shape of shapes.values()) {
    if (shape.layer !== layer.name) continue;
    const [left, top, right, bottom] = shape.box;
    if (right >= seen[0] && bottom >= seen[1] && left <= seen[2] && top <= seen[3]) addShape(path, shape);
  }
  if (!layer.lines) {
    context.globalAlpha = layer.name === "done" ? 0.10 : strong ? 0.22 : 0.10;
    context.fillStyle = layer.colour;
    context.fill(path, layer.name === "done" ? "nonzero" : "evenodd");
  }
  context.globalAlpha = strong || layer.name === "done" ? 1 : 0.55;
  for (const [wide, colour] of [[3.6, "rgba(0,0,0,0.5)"], [layer.name === "done" ? 2.4 : 1.8, layer.colour]]) {
    context.lineWidth = wide * pixel;
    context.strokeStyle = colour;
    context.setLineDash(layer.name === "done" ? [6 * pixel, 4 * pixel] : []);
    context.stroke(path);
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

/** The chosen shape in white, with squares on its corners and dots where a corner can be added. */
function drawChosen(context, shape, pixel) {
  const path = new Path2D();
  addShape(path, shape);
  for (const [wide, colour] of [[4.5, "#000000"], [2.2, "#ffffff"]]) {
    context.lineWidth = wide * pixel;
    context.strokeStyle = colour;
    context.stroke(path);
  }
  if (shape.rings.reduce((sum, ring) => sum + ring.length, 0) > 800) return; // corners too dense to be held
  for (const ring of shape.rings) {
    for (let i = 0; i < ring.length; i += 2) drawHandle(context, ring[i], ring[i + 1], 4 * pixel, pixel);
    const last = shape.lines ? ring.length - 2 : ring.length;
    for (let i = 0; i < last; i += 2) {
      const j = (i + 2) % ring.length;
      if (Math.hypot(ring[i] - ring[j], ring[i + 1] - ring[j + 1]) < 24 * pixel) continue;
      drawHandle(context, (ring[i] + ring[j]) / 2, (ring[i + 1] + ring[j + 1]) / 2, 2 * pixel, pixel);
    }
  }
}

function drawHandle(context, col, row, half, pixel) {
  context.fillStyle = "#ffffff";
  context.strokeStyle = "#000000";
  context.lineWidth = 1.2 * pixel;
  context.beginPath();
  context.rect(col - half, row - half, 2 * half, 2 * half);
  context.fill();
  context.stroke();
}

/** What is being drawn: the corners so far, and the edge that follows the hand. */
function drawDraft(context, draft, cursor, lines, pixel) {
  if (!draft.length) return;
  const points = cursor ? [...draft, ...cursor] : draft, path = new Path2D();
  addShape(path, { rings: [points], lines: lines || points.length < 6 });
  context.fillStyle = "rgba(255,255,255,0.18)";
  if (!lines) context.fill(path);
  for (const [wide, colour] of [[4, "#000000"], [2, "#ffffff"]]) {
    context.lineWidth = wide * pixel;
    context.strokeStyle = colour;
    context.stroke(path);
  }
  for (let i = 0; i < draft.length; i += 2) drawHandle(context, draft[i], draft[i + 1], (i ? 3 : 5) * pixel, pixel);
}
