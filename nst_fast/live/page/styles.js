// The styles to choose from: radio buttons that look like pictures.

export function showStyles(list, styles, chosen, onChoose) {
  const titles = styles.map((style) => style.title ?? readable(style.name));
  list.replaceChildren(
    ...styles.map((style, index) => {
      const input = Object.assign(document.createElement("input"), { type: "radio", name: "style", value: style.name });
      input.checked = style === chosen;
      input.addEventListener("change", () => onChoose(style.name));
      const image = Object.assign(document.createElement("img"), { src: style.thumbnail, alt: "", width: 384, height: 256 });
      const title = Object.assign(document.createElement("span"), { textContent: titles[index] });
      title.textContent += variantOf(style, styles.filter((_, other) => titles[other] === titles[index]));
      const by = [style.artist, style.year].filter(Boolean).join(", ");
      const small = Object.assign(document.createElement("small"), { textContent: by });
      const label = Object.assign(document.createElement("label"), { className: "style" });
      label.title = index < 9 ? `Key ${index + 1}` : "";
      label.append(input, image, title, small);
      return label;
    }),
  );
  // Not before: there was nothing to scroll to.
  list.querySelector(":checked")?.parentElement.scrollIntoView?.({ block: "nearest", inline: "nearest" });
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

function readable(name) {
  return name.replaceAll("_", " ").replace(/^./u, (letter) => letter.toUpperCase());
}
