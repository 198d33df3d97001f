// The photo's colors in a stylized image, as nst_fast/stylize/color.py keeps them; see there for what it does and why.

import { luminanceOf } from "./enlarging.js";

const SAMPLES = 10000;
const LEAST_VARIANCE = 1;
const MOST_GAIN = 4;
const WEIGHTS = [0.299, 0.587, 0.114];
const AXES = [0, 1, 2];

/** Mean and covariance of an image's colors, on a grid. */
export function measureColors({ width, height, data }) {
  const step = Math.max(1, Math.round(Math.sqrt((width * height) / SAMPLES)));
  const start = Math.min(Math.floor(step / 2), width - 1, height - 1);
  const mean = [0, 0, 0];
  const squares = [[0, 0, 0], [0, 0, 0], [0, 0, 0]];
  let count = 0;
  for (let y = start; y < height; y += step) {
    for (let x = start; x < width; x += step, count++) {
      const from = 3 * (y * width + x);
      for (const i of AXES) {
        mean[i] += data[from + i];
        for (const j of AXES) {
          squares[i][j] += data[from + i] * data[from + j];
        }
      }
    }
  }
  const means = mean.map((sum) => sum / count);
  return { mean: means, covariance: squares.map((row, i) => row.map((sum, j) => sum / count - means[i] * means[j])) };
}

/** Gives three floats a pixel the colors that `keep` asks for, in place. */
export function recolor(keep, result, photo, stylizedColors, photoColors) {
  if (keep === "luminance") {
    const variance = ({ covariance }) => dot(WEIGHTS, apply(covariance, WEIGHTS)) + LEAST_VARIANCE;
    const gain = Math.min(MOST_GAIN, Math.sqrt(variance(photoColors) / variance(stylizedColors)));
    const offset = dot(WEIGHTS, photoColors.mean) - gain * dot(WEIGHTS, stylizedColors.mean);
    for (let at = 0; at < result.length; at += 3) {
      const wanted = Math.max(0, Math.min(255, gain * luminanceOf(result, at) + offset));
      const difference = wanted - luminanceOf(photo.data, at);
      for (const i of AXES) {
        result[at + i] = photo.data[at + i] + difference;
      }
    }
    return;
  }
  const matrix = limit(multiply(root(photoColors.covariance, 0.5), root(stylizedColors.covariance, -0.5)));
  const shift = apply(matrix, stylizedColors.mean).map((level, i) => photoColors.mean[i] - level);
  for (let at = 0; at < result.length; at += 3) {
    const color = [result[at], result[at + 1], result[at + 2]];
    for (const i of AXES) {
      result[at + i] = dot(matrix[i], color) + shift[i];
    }
  }
}

const dot = (one, other) => one[0] * other[0] + one[1] * other[1] + one[2] * other[2];
const apply = (matrix, vector) => matrix.map((row) => dot(row, vector));
const transposed = (matrix) => AXES.map((i) => AXES.map((j) => matrix[j][i]));
const multiply = (one, other) => one.map((row) => transposed(other).map((column) => dot(row, column)));

/** A symmetric matrix as {values, vectors}, the vectors as columns; by Jacobi's rotations. */
function diagonalize(matrix) {
  let values = matrix.map((row) => [...row]);
  let vectors = AXES.map((i) => AXES.map((j) => Number(i === j)));
  for (let sweep = 0; sweep < 12; sweep++) {
    for (const [p, q] of [[0, 1], [0, 2], [1, 2]]) {
      const angle = 0.5 * Math.atan2(2 * values[p][q], values[q][q] - values[p][p]);
      const turn = AXES.map((i) => AXES.map((j) => Number(i === j)));
      turn[p][p] = turn[q][q] = Math.cos(angle);
      turn[p][q] = Math.sin(angle);
      turn[q][p] = -Math.sin(angle);
      values = multiply(multiply(transposed(turn), values), turn);
      vectors = multiply(vectors, turn);
    }
  }
  return { values: AXES.map((i) => values[i][i]), vectors };
}

const scale = (matrix, values) => matrix.map((row) => row.map((value, j) => value * values[j]));
const compose = (vectors, values) => multiply(scale(vectors, values), transposed(vectors));

function root(covariance, power) {
  const padded = covariance.map((row, i) => row.map((value, j) => value + LEAST_VARIANCE * (i === j)));
  const { values, vectors } = diagonalize(padded);
  return compose(vectors, values.map((value) => Math.max(value, LEAST_VARIANCE) ** power));
}

/** The matrix with no color scaled by more than MOST_GAIN. */
function limit(matrix) {
  const { values, vectors } = diagonalize(multiply(transposed(matrix), matrix));
  const scales = values.map((value) => Math.sqrt(Math.max(value, 1e-12)));
  return multiply(matrix, compose(vectors, scales.map((gain) => Math.min(gain, MOST_GAIN) / gain)));
}
