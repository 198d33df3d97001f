// A second style and how much of it: what the command calls a blend, such as wave:0.6,udnie:0.4.

import { find, hasServer } from "./state.js";

const canBlend = ({ name, blends }) => hasServer && Boolean(blends) && !/[:,]/.test(name);

/** The style as it is used: itself, or the blend with the second one. */
export function blended(style) {
  const second = find("blend-with").value;
  if (!second || !canBlend(style)) {
    return style;
  }
  const share = Number(find("blend").value);
  const parts = [[style.name, 1 - share], [second, share]].filter(([, each]) => each > 0);
  const name = parts.map(([part, each]) => `${part}:${Number(each.toFixed(2))}`).join(",");
  return { ...style, name, adjustable: true, network: `api/styles/${encodeURIComponent(name)}/network.onnx` };
}

/** Offer what a style can be blended with; the second one stays, if it can. */
export function fitBlend(style, styles) {
  const second = find("blend-with").value;
  const others = styles.filter((other) => canBlend(other) && other.name !== style.name);
  const options = others.map(({ name, title }) => new Option(title ?? name, name, false, name === second));
  find("blend-with").replaceChildren(new Option("Nothing", ""), ...options);
  find("blend-with-label").hidden = !canBlend(style) || !others.length;
  showShare();
}

export function showShare() {
  find("blend-label").hidden = find("blend-with-label").hidden || !find("blend-with").value;
}

/** Set the controls to a blend of two styles, and give the first one; null: the text is no such blend. */
export function readBlend(text, styles) {
  const parts = (text ?? "").split(",").map((part) => /^(.*):([^:]*)$/.exec(part.trim()));
  const found = parts.map((part) => part && styles.find((style) => canBlend(style) && style.name === part[1]));
  const shares = parts.map((part) => Number(part?.[2]));
  if (found.length !== 2 || !found.every(Boolean) || found[0] === found[1] || !shares.every((share) => share > 0)) {
    return null;
  }
  fitBlend(found[0], styles);
  find("blend-with").value = found[1].name;
  find("blend").value = shares[1] / (shares[0] + shares[1]);
  showShare();
  return found[0];
}
