// Large strokes with sharp edges, as nst_fast/stylize/guided_upsampling.py does it; see there for what it does and why.
//
// Images are {width, height, data}: bytes with three colors a pixel, or one, or floats, row by row.

const FLAT = 10;
const EDGE = 150;
const MOST_GAIN = 1.9;

/** Bilinear, by shares of two neighbors first across, then down. */
export function enlarge(values, width, height, channels, toWidth, toHeight) {
  const wide = new Float32Array(toWidth * height * channels);
  const across = neighbors(width, toWidth);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < toWidth; x++) {
      const left = (y * width + across.first[x]) * channels;
      const right = (y * width + across.second[x]) * channels;
      const share = across.share[x];
      for (let c = 0, to = (y * toWidth + x) * channels; c < channels; c++) {
        wide[to + c] = values[left + c] + share * (values[right + c] - values[left + c]);
      }
    }
  }
  const result = new Float32Array(toWidth * toHeight * channels);
  const down = neighbors(height, toHeight);
  const row = toWidth * channels;
  for (let y = 0; y < toHeight; y++) {
    const [upper, lower, share] = [down.first[y] * row, down.second[y] * row, down.share[y]];
    for (let x = 0, to = y * row; x < row; x++) {
      result[to + x] = wide[upper + x] + share * (wide[lower + x] - wide[upper + x]);
    }
  }
  return result;
}

function neighbors(side, toSide) {
  const [first, second, share] = [new Int32Array(toSide), new Int32Array(toSide), new Float32Array(toSide)];
  for (let to = 0; to < toSide; to++) {
    const at = ((to + 0.5) * side) / toSide - 0.5;
    const low = Math.floor(at);
    first[to] = Math.max(0, low);
    second[to] = Math.min(side - 1, low + 1);
    share[to] = at - low;
  }
  return { first, second, share };
}

export const luminanceOf = (data, from) => 0.299 * data[from] + 0.587 * data[from + 1] + 0.114 * data[from + 2];

export function luminance({ width, height, data }) {
  const result = new Float32Array(width * height);
  for (let to = 0; to < result.length; to++) {
    result[to] = luminanceOf(data, 3 * to);
  }
  return result;
}

/** The stylized copy of `small` at the size of `photo`, as three floats a pixel. */
export function enlargeByGuide(stylized, small, photo) {
  const { width, height } = photo;
  const guide = luminance(small);
  const { gain, strokes } = fit(stylized, guide);
  const larger = (values, channels) => enlarge(values, small.width, small.height, channels, width, height);
  const result = larger(strokes, 3);
  const [largeGuide, largeGain] = [larger(guide, 1), larger(gain, 1)];
  for (let at = 0; at < width * height; at++) {
    const detail = largeGain[at] * (luminanceOf(photo.data, 3 * at) - largeGuide[at]);
    for (let c = 3 * at; c < 3 * at + 3; c++) {
      result[c] += detail;
    }
  }
  return result;
}

function fit(stylized, guide) {
  const { width, height, data } = stylized;
  const average = (values) => averageOfNine(values, width, height);
  const wanted = luminance(stylized);
  const [mean, wantedMean] = [average(guide), average(wanted)];
  const variance = average(guide.map((level) => level * level)).map((square, at) => square - mean[at] ** 2);
  const product = average(guide.map((level, at) => level * wanted[at]));
  let gain = product.map((value, at) => (value - mean[at] * wantedMean[at]) / (variance[at] + FLAT));
  gain = gain.map((value) => Math.max(-MOST_GAIN, Math.min(MOST_GAIN, value)));
  const offset = average(gain.map((value, at) => value * mean[at]));
  gain = average(gain);
  const flatness = average(variance).map((value) => EDGE / (value + EDGE));
  const blurred = blur(stylized);
  const strokes = new Float32Array(data.length);
  for (let at = 0; at < guide.length; at++) {
    const filtered = (gain[at] * guide[at] - offset[at]) * (1 - flatness[at]);
    for (let c = 3 * at; c < 3 * at + 3; c++) {
      const level = blurred[c] + flatness[at] * (data[c] - blurred[c]) + filtered;
      strokes[c] = Math.max(0, Math.min(255, level));
    }
  }
  return { gain, strokes };
}

/** By averages of 2 x 2 pixels, enlarged again. */
function blur({ width, height, data }) {
  const [halfWidth, halfHeight] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const half = new Float32Array(halfWidth * halfHeight * 3);
  for (let y = 0; y < halfHeight; y++) {
    for (let x = 0; x < halfWidth; x++) {
      const [right, below] = [Math.min(2 * x + 1, width - 1), Math.min(2 * y + 1, height - 1)];
      for (let c = 0; c < 3; c++) {
        const sum =
          data[3 * (2 * y * width + 2 * x) + c] + data[3 * (2 * y * width + right) + c] +
          data[3 * (below * width + 2 * x) + c] + data[3 * (below * width + right) + c];
        half[3 * (y * halfWidth + x) + c] = sum / 4;
      }
    }
  }
  return enlarge(half, halfWidth, halfHeight, 3, width, height);
}

function averageOfNine(values, width, height) {
  const rows = new Float32Array(values.length);
  for (let y = 0; y < height; y++) {
    const [above, below] = [Math.max(0, y - 1) * width, Math.min(height - 1, y + 1) * width];
    for (let x = 0; x < width; x++) {
      rows[y * width + x] = values[above + x] + values[y * width + x] + values[below + x];
    }
  }
  const result = new Float32Array(values.length);
  for (let at = 0; at < values.length; at++) {
    const x = at % width;
    result[at] = (rows[x ? at - 1 : at] + rows[at] + rows[x < width - 1 ? at + 1 : at]) / 9;
  }
  return result;
}
