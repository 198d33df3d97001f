// The styles to choose from: radio buttons that look like pictures.

export function showStyles(list, styles, chosen, onChoose) {
  const titles = styles.map(titleOf);
  list.replaceChildren(
    ...styles.map((style, index) => {
      const variant = variantOf(style, styles.filter((_, other) => titles[other] === titles[index]));
      return buildTile(style, titles[index] + variant, onChoose);
    }),
  );
  finish(list, chosen);
}

/** Show what is new among the styles, take away what is gone, and leave the others as they are. */
export function updateStyles(list, styles, chosen, onChoose) {
  const shown = new Map([...list.querySelectorAll("input")].map((input) => [input.value, input.parentElement]));
  const names = new Set(styles.map(({ name }) => name));
  shown.forEach((tile, name) => names.has(name) || tile.remove());
  list.append(...styles.filter(({ name }) => !shown.has(name)).map((style) => buildTile(style, titleOf(style), onChoose)));
  finish(list, chosen);
}

function finish(list, chosen) {
  [...list.children].forEach((tile, index) => (tile.title = index < 9 ? `Key ${index + 1}` : ""));
  const input = [...list.querySelectorAll("input")].find(({ value }) => value === chosen.name);
  input.checked = true;
  // Not before: there was nothing to scroll to.
  input.parentElement.scrollIntoView?.({ block: "nearest", inline: "nearest" });
}

function buildTile(style, titleText, onChoose) {
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "style", value: style.name });
  input.addEventListener("change", () => onChoose(style.name));
  const image = Object.assign(document.createElement("img"), { src: style.thumbnail, alt: "", width: 384, height: 256 });
  const title = Object.assign(document.createElement("span"), { textContent: titleText });
  const by = [style.artist, style.year].filter(Boolean).join(", ");
  const small = Object.assign(document.createElement("small"), { textContent: by });
  const label = Object.assign(document.createElement("label"), { className: "style" });
  label.append(input, image, title, small);
  return label;
}

/** What tells the networks of one style image apart: nothing for the first by name, for "wave_johnson" " (johnson)". */
function variantOf(style, alike) {
  const first = alike.map(({ name }) => name).sort()[0];
  if (style.name === first) {
    return "";
  }
  const rest = style.name.startsWith(first) ? style.name.slice(first.length) : style.name;
  return ` (${rest.replaceAll("_", " ").trim()})`;
}

function titleOf({ title, name }) {
  return title ?? name.replaceAll("_", " ").replace(/^./u, (letter) => letter.toUpperCase());
}
