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
      if (titles.filter((other) => other === titles[index]).length > 1) {
        title.textContent += ` (${readable(style.name)})`; // one painting, two networks
      }
      const by = [style.artist, style.year].filter(Boolean).join(", ");
      const small = Object.assign(document.createElement("small"), { textContent: by });
      const label = Object.assign(document.createElement("label"), { className: "style" });
      label.title = index < 9 ? `Key ${index + 1}` : "";
      label.append(input, image, title, small);
      return label;
    }),
  );
  // Only then is there something to scroll to.
  list.querySelector(":checked")?.parentElement.scrollIntoView?.({ block: "nearest", inline: "nearest" });
}

function readable(name) {
  return name.replaceAll("_", " ").replace(/^./u, (letter) => letter.toUpperCase());
}
