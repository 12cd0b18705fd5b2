// On paper nothing can be folded out: every answer is open while the page is printed, and closed again after it.
(() => {
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((answer) => { answer.open = true; });
  });
  addEventListener("afterprint", () => { folded.forEach((answer) => { answer.open = false; }); });
})();

// An explorer: controls over pictures that were made before. The arrow keys move them, and their values are read out.
for (const figure of document.querySelectorAll("figure.explorer")) {
  const { controls, frames } = JSON.parse(figure.querySelector("script").textContent);
  const [image, caption] = [figure.querySelector("img"), figure.querySelector("figcaption em")];
  const show = () => {
    let place = 0;
    for (const { values, slider, shown } of made) {
      place = place * values.length + Number(slider.value);
      shown.textContent = values[slider.value];
      slider.setAttribute("aria-valuetext", values[slider.value]);
    }
    const [source, sentence] = frames[place];
    image.src = source;
    image.alt = caption.textContent = sentence;
  };
  const fetchAll = () => { if (frames.length <= 41) frames.forEach(([source]) => { new Image().src = source; }); };
  const made = controls.map(([name, values, start]) => {
    const label = document.createElement("label");
    const slider = document.createElement("input");
    const shown = document.createElement("output");
    Object.assign(slider, { type: "range", min: 0, max: values.length - 1, step: 1, value: start });
    label.append(`${name} `, slider, " ", shown);
    image.before(label);
    slider.addEventListener("focus", fetchAll, { once: true });
    slider.addEventListener("input", show);
    return { values, slider, shown };
  });
  show();
}
