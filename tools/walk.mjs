// A recorded walk: opens notebooks in a real JupyterLab, runs all cells, operates every widget by mouse and by keyboard.
//
//     python3 start.py --no-browser --port 8901 -- --IdentityProvider.token=walk --LabApp.expose_app_in_browser=True
//     node tools/walk.mjs http://localhost:8901 walk 00_world labs/01_heads ...
//
// Needs `npm ci --prefix tools` and a browser: the variable CHROMIUM, or /usr/bin/chromium. It reads the reader's copies
// in my/. What it saw goes into docs/walk: a record (walk.json), pictures, and README.md, which is made of the record; a
// notebook that is walked again replaces what was recorded of it. Exit code 0: no error, and every widget answered.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [address, token, ...names] = process.argv.slice(2);
const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), "docs", "walk");
mkdirSync(folder, { recursive: true });
const file = join(folder, "walk.json");
let record;
const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
const args = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args });
const context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
const PATIENCE = 900; // seconds for all cells of a notebook, on a busy machine
let wrong = 0;

const picture = async (page, name) => {
  const session = await context.newCDPSession(page);
  const { data } = await session.send("Page.captureScreenshot", { format: "webp", quality: 60 });
  writeFileSync(join(folder, name), Buffer.from(data, "base64"));
  await session.detach();
  return name;
};

// What the notebook holds, from JupyterLab's own model: cells that are not on the screen count, too.
const state = (page) => page.evaluate(() => {
  const panel = jupyterapp.shell.currentWidget;
  const found = { code: 0, ran: 0, errors: [], widgets: [], busy: panel.sessionContext.session?.kernel?.status !== "idle" };
  [...panel.content.model.cells].forEach((cell, i) => {
    if (cell.type !== "code" || !cell.sharedModel.getSource().trim()) return;
    found.code += 1;
    found.ran += cell.executionCount !== null;
    for (let k = 0; k < cell.outputs.length; k++) {
      const output = cell.outputs.get(k).toJSON();
      if (output.output_type === "error") found.errors.push(`${output.ename}: ${output.evalue}`.slice(0, 200));
      if (output.output_type === "stream" && output.name === "stderr") found.errors.push(`stderr: ${output.text}`.slice(0, 200));
      const plain = String(output.data?.["text/plain"] ?? "");
      if (output.data?.["application/vnd.jupyter.widget-view+json"] && /^(Explorer|RankingDesk|Ranking desk)/.test(plain))
        found.widgets.push({ cell: i, plain: plain.replace(/\s+/g, " ").trim() });
    }
  });
  return found;
});

// What a widget shows now: its words, and its pictures with their descriptions.
const said = (node) => node.evaluate((e) =>
  [...e.querySelectorAll(".widget-html, .jupyter-widget-html")].map((h) => h.innerHTML).join(" | ") +
  [...e.querySelectorAll("button")].map((b) => `${b.innerText} ${b.disabled}`).join(" | "));

// Does something, another way if that changed nothing, and waits until the widget shows something else.
const changes = async (node, act) => {
  await wait(2); // what was done before has been drawn
  const before = await said(node);
  for (let i = 0; i < 120; i++) {
    if (i % 60 === 0) await act(i / 60);
    await wait(0.5);
    if ((await said(node)) !== before) return !(await node.$("[role=alert]")); // a complaint is no answer
  }
  return false;
};

const controls = {
  slider: {
    find: ".noUi-target",
    async mouse(page, element, attempt) { // it may be at one of these places already
      const box = await element.boundingBox();
      await page.mouse.click(box.x + [0.85, 0.15][attempt] * box.width, box.y + box.height / 2);
    },
    async keyboard(page, element, attempt) {
      await (await element.$(".noUi-handle")).focus();
      for (let i = 0; i < 3; i++) await page.keyboard.press(["ArrowLeft", "ArrowRight"][attempt]);
    },
  },
  buttons: {
    find: ".widget-toggle-buttons",
    async mouse(page, element) { await (await element.$$("button"))[1].click(); },
    async keyboard(page, element) {
      const all = await element.$$("button");
      await all[all.length - 1].focus();
      await page.keyboard.press("Space");
    },
  },
  answers: { // of the ranking desk: buttons one under the other; the best is clicked, the next is chosen by keyboard
    find: "button.jupyter-button:not(.widget-toggle-button)",
    async mouse(page, element) { await element.click(); },
    async keyboard(page, element) {
      await element.evaluate((e) => e.nextElementSibling.focus());
      await page.keyboard.press("Space");
    },
  },
  box: {
    find: "input[type=checkbox]",
    async mouse(page, element) { await element.click(); },
    async keyboard(page, element) { await element.focus(); await page.keyboard.press("Space"); },
  },
  text: { // a line to write in: the caret is set by the mouse and by the Tab key, what is written is sent by Enter
    find: "input[type=text]",
    async mouse(page, element) {
      await element.click();
      await write(page, element, 0);
    },
    async keyboard(page, element) {
      await element.focus();
      await page.keyboard.press("Shift+Tab");
      await page.keyboard.press("Tab");
      await write(page, element, 1);
    },
  },
};

// Writes into a line: an order of the answers into that of the desk, another question into that of the pictures.
async function write(page, element, time) {
  const order = (await element.getAttribute("placeholder")) === "2 1=3 4";
  const text = order ? ["4 2 1=3", "1 4 3 2"][time] : ["how many things are there", "where is the circle"][time];
  await page.keyboard.press("Control+A");
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
}

async function operate(page, { cell, plain }) {
  await page.evaluate(async (i) => {
    const notebook = jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = i;
    await notebook.scrollToItem(i, "start").catch(() => {});
  }, cell);
  await wait(3);
  const handle = await page.evaluateHandle((i) => jupyterapp.shell.currentWidget.content.widgets[i].node.querySelector(".jp-OutputArea"), cell);
  const node = handle.asElement();
  await node.waitForSelector(".noUi-target, button.jupyter-button, input[type=checkbox]", { timeout: 60000 });
  await node.scrollIntoViewIfNeeded();
  const done = {};
  for (const [kind, { find, mouse, keyboard }] of Object.entries(controls)) {
    const there = [];
    for (const each of await node.$$(find)) if (await each.isVisible()) there.push(each);
    if (kind === "answers") there.length = /desk/i.test(plain) ? Math.min(1, there.length) : 0; // one for all of them
    for (const [i, element] of there.entries()) {
      await element.scrollIntoViewIfNeeded();
      const how = [];
      if (await changes(node, (attempt) => mouse(page, element, attempt))) how.push("mouse");
      if (await changes(node, (attempt) => keyboard(page, element, attempt))) how.push("keyboard");
      done[i ? `${kind} ${i + 1}` : kind] = how;
    }
  }
  const image = await node.$("img");
  if (image) await image.scrollIntoViewIfNeeded();
  return done;
}

const readme = () => {
  const rows = Object.entries(record.notebooks).sort(([a], [b]) => (a.startsWith("labs") - b.startsWith("labs")) || (a < b ? -1 : 1));
  const errors = rows.reduce((n, [, each]) => n + each.errors.length, 0);
  const widgets = rows.flatMap(([, each]) => each.widgets);
  const lines = [
    "# A walk through the book", "",
    "What a reader sees who types `python3 start.py`, recorded by `tools/walk.mjs`: each notebook was opened in JupyterLab,",
    "*Run All Cells* was chosen from the menu, and every widget was operated by mouse and by keyboard; a control counts as",
    "operated if the widget then showed something else. Trained models were in the cache, as for a reader's second time.",
    "This page and its table are written by that script. Where the kernel was still drawing, a picture is a step behind its",
    "slider.", "",
    `Walked on ${record.date} with JupyterLab ${record.jupyterlab} and Chromium ${record.chromium}, on Linux. Notebooks: ${rows.length}. ` +
    `Widgets operated: ${widgets.length}. Errors found: ${errors}.`, "",
    "| notebook | code cells run | errors | widget: controls operated | pictures |", "|---|---|---|---|---|",
    ...rows.map(([name, each]) => {
      const told = each.widgets.map((w) => `${w.plain.replace(/^Explorer: /, "").replaceAll("|", "/")}: ` +
        Object.entries(w.controls).map(([kind, how]) => `${kind} (${how.join(", ") || "neither"})`).join(", "));
      return `| ${name} | ${each.ran} of ${each.code} | ${each.errors.length} | ${told.join("<br>") || "none"} | ` +
        `${each.pictures.map((p, i) => `[${i + 1}](${p})`).join(" ")} |`;
    }), "",
    ...rows.flatMap(([name, each]) => each.pictures.slice(-1).map((p) => `![${name} in JupyterLab after all cells have run.](${p})\n`)),
  ];
  writeFileSync(join(folder, "README.md"), lines.join("\n").trimEnd() + "\n");
};

for (const name of names) {
  const page = await context.newPage();
  const tag = name.replace(/\W/g, "_");
  const errors = [];
  page.on("pageerror", (error) => errors.push(`page: ${String(error).slice(0, 200)}`));
  const began = Date.now();
  await page.goto(`${address}/lab/tree/my/${name}.ipynb?token=${token}&reset`, { waitUntil: "load", timeout: 180000 });
  await page.waitForSelector(".jp-Notebook .jp-Cell", { timeout: 180000 });
  await page.waitForFunction(() => jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === "idle", null, { timeout: 180000 });
  await page.click(".lm-MenuBar-item:has-text('Run')");
  await page.click(".lm-Menu-item[data-command='runmenu:run-all'], .lm-Menu-item:has-text('Run All Cells')");
  let now;
  do {
    await wait(3);
    now = await state(page);
  } while ((now.ran < now.code || now.busy) && Date.now() - began < 1000 * PATIENCE);
  await page.evaluate(() => { const n = jupyterapp.shell.currentWidget.content; n.activeCellIndex = 0; return n.scrollToItem(0, "start").catch(() => {}); });
  await wait(2);
  const pictures = [await picture(page, `${tag}_top.webp`)];
  const widgets = [];
  for (const widget of now.widgets) {
    let done;
    try {
      done = await operate(page, widget);
    } catch (error) {
      errors.push(`${widget.plain.slice(0, 60)}: ${String(error).slice(0, 300)}`);
      done = {};
    }
    widgets.push({ plain: widget.plain, controls: done });
    if (!Object.keys(done).length || Object.values(done).some((how) => how.length < 2)) wrong += 1;
  }
  if (widgets.length) pictures.push(await picture(page, `${tag}_widget.webp`));
  now = await state(page);
  errors.push(...now.errors);
  wrong += errors.length + (now.ran < now.code);
  record = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { notebooks: {} };
  record.date = new Date().toISOString().slice(0, 10);
  record.jupyterlab = await page.evaluate(() => jupyterapp.version);
  record.chromium = browser.version();
  record.notebooks[name] = { code: now.code, ran: now.ran, errors, widgets, pictures };
  writeFileSync(file, JSON.stringify(record, null, 1) + "\n");
  readme();
  console.log(name, `${Math.round((Date.now() - began) / 1000)} s`, JSON.stringify(record.notebooks[name]));
  await page.evaluate(() => jupyterapp.shell.currentWidget.sessionContext.shutdown());
  await page.close();
}
if (!names.length) { // only the page, from the record
  record = JSON.parse(readFileSync(file, "utf8"));
  readme();
}
await browser.close();
process.exit(wrong ? 1 : 0);
