// On paper nothing can be folded out: every answer is open while the page is printed, and closed again after it. Code that
// only draws stays folded, and web.css leaves it out.
(() => {
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open], .hide)")];
    folded.forEach((answer) => { answer.open = true; });
  });
  addEventListener("afterprint", () => { folded.forEach((answer) => { answer.open = false; }); });
})();

// What scrolls in its own box can be reached with the keyboard; what fits needs no stop there.
const reach = () => document.querySelectorAll(".picture").forEach((box) => {
  if (box.scrollWidth > box.clientWidth) Object.assign(box, { tabIndex: 0, role: "group", ariaLabel: "a wide picture, scrolls" });
  else ["tabindex", "role", "aria-label"].forEach((name) => box.removeAttribute(name));
});
addEventListener("load", reach);
addEventListener("resize", reach);

// An explorer: controls over pictures that were made before. The arrow keys move them, and their values are read out.
for (const figure of document.querySelectorAll("figure.explorer")) {
  const { controls, frames } = JSON.parse(figure.querySelector("script").textContent);
  const [image, caption] = [figure.querySelector("img"), figure.querySelector("figcaption em")];
  const frame = image.closest(".picture") ?? image; // controls stand above it and do not scroll with it
  const show = () => {
    let place = 0;
    for (const { values, slider, tell } of made) {
      place = place * values.length + Number(slider.value);
      tell();
    }
    const [source, sentence] = frames[place];
    image.src = source;
    image.alt = caption.textContent = sentence;
  };
  // A desk: the answers are buttons, clicked best first; when all are ranked, the picture of this order is shown.
  const desk = (request, values, answers) => {
    const [box, told, shown] = ["div", "p", "output"].map((tag) => document.createElement(tag));
    const slider = { value: 0 };
    let order = [];
    const buttons = answers.map((_, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.addEventListener("click", () => {
        if (order.length === answers.length) order = []; // all were ranked: another order begins
        if (!order.includes(i + 1)) order.push(i + 1);
        if (order.length === answers.length) slider.value = values.indexOf(order.join(" "));
        show();
      });
      return button;
    });
    told.append(request, " ", shown);
    box.className = "desk";
    box.append(told, ...buttons);
    frame.before(box);
    const tell = () => {
      buttons.forEach((button, i) => {
        const rank = order.indexOf(i + 1) + 1;
        button.textContent = `${rank ? `[${rank}] ` : ""}${i + 1}. ${answers[i]}`;
      });
      shown.textContent = order.length ? `${order.length} of ${answers.length} ranked.` : "Click the best answer first.";
    };
    return { values, slider, tell };
  };
  const fetchAll = () => { if (frames.length <= 41) frames.forEach(([source]) => { new Image().src = source; }); };
  const made = controls.map(([name, values, start, answers]) => {
    if (answers) return desk(name, values, answers);
    const [label, slider, shown] = ["label", "input", "output"].map((tag) => document.createElement(tag));
    if (values.join() === "no,yes") { // a box to tick, as in the notebook
      const place = { get value() { return Number(slider.checked); } };
      Object.assign(slider, { type: "checkbox", checked: start === 1 });
      label.append(slider, ` ${name}`);
      frame.before(label);
      slider.addEventListener("input", show);
      return { values, slider: place, tell() {} };
    }
    Object.assign(slider, { type: "range", min: 0, max: values.length - 1, step: 1, value: start });
    label.append(`${name} `, slider, " ", shown);
    frame.before(label);
    slider.addEventListener("focus", fetchAll, { once: true });
    slider.addEventListener("input", show);
    const tell = () => {
      shown.textContent = values[slider.value];
      slider.setAttribute("aria-valuetext", values[slider.value]);
    };
    return { values, slider, tell };
  });
  show();
}
