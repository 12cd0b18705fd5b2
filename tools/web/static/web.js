// On paper nothing can be folded out: every answer is open while the page is printed, and closed again after it.
(() => {
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((answer) => { answer.open = true; });
  });
  addEventListener("afterprint", () => { folded.forEach((answer) => { answer.open = false; }); });
})();
