// On paper nothing can be folded out: every answer is open while the page is printed, and closed again after it.
(() => {
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((answer) => { answer.open = true; });
  });
  addEventListener("afterprint", () => { folded.forEach((answer) => { answer.open = false; }); });
})();

// An explorer: a slider over pictures that were made before. The arrow keys move it, and its value is read out.
for (const figure of document.querySelectorAll("figure.explorer")) {
  const frames = JSON.parse(figure.querySelector("script").textContent);
  const [image, caption] = [figure.querySelector("img"), figure.querySelector("figcaption em")];
  const label = document.createElement("label");
  const slider = document.createElement("input");
  const shown = document.createElement("output");
  Object.assign(slider, { type: "range", min: 0, max: frames.length - 1, step: 1, value: figure.dataset.place });
  label.append(`${figure.dataset.label} `, slider, " ", shown);
  figure.prepend(label);
  const show = () => {
    const [value, source, sentence] = frames[slider.value];
    image.src = source;
    image.alt = caption.textContent = sentence;
    shown.textContent = value;
    slider.setAttribute("aria-valuetext", value);
  };
  slider.addEventListener("focus", () => frames.forEach(([, source]) => { new Image().src = source; }), { once: true });
  slider.addEventListener("input", show);
  show();
}
