// The pixels of a scene and the colours that its layers are painted in. Colours come from a table of 768 entries, so that
// a new threshold is a new table and one pass over the pixels.

/** The lowest probability byte that counts as foreground: as cut_of in scene.py. */
function cutOf(threshold) {
  return Math.max(1, Math.ceil(threshold * 255 - 1e-6));
}

/** RGBA words for each code of truth (0, 1, 2 = not counted) and each probability byte: index truth * 256 + byte. */
function colourTable(layer, threshold, colours, ramp) {
  const table = new Uint32Array(768);
  const cut = cutOf(threshold);
  for (let truth = 0; truth < 3; truth++) {
    for (let value = 0; value < 256; value++) {
      const found = value >= cut;
      let entry = 0;
      if (layer === "probability") entry = word(ramp[value]);
      else if (layer === "prediction") entry = found ? word(colours.prediction) : 0;
      else if (layer === "truth") entry = truth === 1 ? word(colours.truth) : 0;
      else if (layer === "errors") {
        if (truth === 2) entry = word(colours.ignored);
        else if (found) entry = word(truth ? colours.TP : colours.FP);
        else entry = truth ? word(colours.FN) : 0;
      }
      table[truth * 256 + value] = entry;
    }
  }
  return table;
}

/** A picture of a window of the scene: its photograph, probability and truth, and painted layers kept until they change. */
class Sheet {
  constructor(window, photo, probability, truth) {
    Object.assign(this, { window, photo, probability, truth, painted: new Map() });
  }

  static async load(window, [photo, probability, truth], classes) {
    return new Sheet(window, await bitmapOf(photo), planesOf(await greyOf(probability), classes),
      planesOf(await greyOf(truth), classes));
  }

  /** A canvas of the layer of a class (its number) in the colours of a table, painted anew only when `key` changes. */
  layer(layer, number, key, table) {
    const name = `${layer} ${number}`;
    const old = this.painted.get(name);
    if (old && old.key === key) return old.canvas;
    const { width, height } = this.probability || this.truth;
    const canvas = old ? old.canvas : new OffscreenCanvas(width, height);
    const context = old ? old.context : canvas.getContext("2d");
    const image = old ? old.image : context.createImageData(width, height);
    const out = new Uint32Array(image.data.buffer);
    const probability = this.probability && this.probability.data[number];
    const truth = this.truth && this.truth.data[number];
    if (probability && truth) for (let i = 0; i < out.length; i++) out[i] = table[(truth[i] << 8) | probability[i]];
    else if (probability) for (let i = 0; i < out.length; i++) out[i] = table[probability[i]];
    else for (let i = 0; i < out.length; i++) out[i] = table[truth[i] << 8];
    context.putImageData(image, 0, 0);
    this.painted.set(name, { key, canvas, context, image });
    return canvas;
  }

  /** The value of a layer of a class at a place of the scene, or null. */
  value(layer, number, row, col) {
    const source = this[layer];
    const [top, left, height, width] = this.window;
    if (!source || row < top || col < left || row >= top + height || col >= left + width) return null;
    const y = Math.floor((row - top) * source.height / height), x = Math.floor((col - left) * source.width / width);
    return source.data[number][y * source.width + x];
  }
}

/** Grey values whose classes lie one below the other as {width, height, data: one Uint8Array for each class}; or null. */
function planesOf(grey, classes) {
  if (!grey) return null;
  const height = grey.height / classes, size = grey.width * height;
  const data = Array.from({ length: classes }, (_, i) => grey.data.subarray(i * size, (i + 1) * size));
  return { width: grey.width, height, data };
}
