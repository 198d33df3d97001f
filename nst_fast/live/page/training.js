// The training that serves this page: its losses and its strip of photos.

const SHOWN = ["total", "style", "content"];
const EVERY = 2000; // milliseconds

/** @param {HTMLImageElement} thumbnail of the style in training, which is the first */
export async function watchTraining(thumbnail) {
  const address = thumbnail.src;
  const find = (id) => document.getElementById(id);
  let strip = null;
  for (;;) {
    const answer = await fetch("api/training").catch(() => null);
    if (answer?.ok) {
      const training = await answer.json();
      find("training").hidden = false;
      find("training-step").textContent = `Step ${training.step} of ${training.steps}`;
      draw(find("losses"), find("legend"), training.losses);
      if (training.strip !== null && training.strip !== strip) {
        strip = training.strip;
        thumbnail.src = `${address}?step=${strip}`;
        find("strip").src = `api/training/strip.jpg?step=${strip}`;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY));
  }
}

/** Lines over the steps, each from its own lowest to its own highest value, on a logarithmic scale. */
export function draw(chart, legend, losses) {
  const [width, height] = [300, 90];
  const last = Math.max(1, losses.at(-1)?.step ?? 1);
  const lines = [];
  const names = [];
  SHOWN.forEach((name, index) => {
    const points = losses.filter((entry) => entry[name] > 0).map((entry) => [entry.step, Math.log(entry[name])]);
    if (!points.length) {
      return;
    }
    const values = points.map(([, value]) => value);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const line = document.createElementNS(chart.namespaceURI, "polyline");
    line.setAttribute("class", `line-${index}`);
    line.setAttribute(
      "points",
      points.map(([step, value]) => `${((step / last) * width).toFixed(1)},${(height - 4 - ((value - low) / (high - low || 1)) * (height - 8)).toFixed(1)}`).join(" "),
    );
    lines.push(line);
    const label = Object.assign(document.createElement("span"), { className: `line-${index}` });
    label.textContent = `${name} ${losses.at(-1)[name].toFixed(3)}`;
    names.push(label);
  });
  chart.replaceChildren(...lines);
  legend.replaceChildren(...names);
}
