// Opens every page of the web edition in a Chromium without a window and counts what is wrong.
//
//     node tools/web/check.mjs web/pages [text in a page's path ...]
//
// Needs `npm ci --prefix tools`, and a browser: the variable CHROMIUM, or /usr/bin/chromium. Exit code 0: nothing is
// wrong; 1: something is, and is printed; 77: not run, for want of either.
import { createRequire } from "node:module";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
const [folder, ...wanted] = process.argv.slice(2);
let chromium, axe;
try {
  ({ chromium } = require("playwright-core"));
  axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
} catch {
  console.log("not run: its packages are missing; npm ci --prefix tools");
  process.exit(77);
}
if (!existsSync(executablePath)) {
  console.log(`not run: there is no browser ${executablePath}; set CHROMIUM`);
  process.exit(77);
}

const root = resolve(folder);
const pages = readdirSync(root, { recursive: true })
  .filter((name) => name.endsWith(".html") && (!wanted.length || wanted.some((word) => name.includes(word))))
  .sort();
const wrong = {};
const note = (kind, page, what) => (wrong[kind] ||= []).push(`${page}: ${what}`);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] });
const context = await browser.newContext({ viewport: { width: 1366, height: 768 }, reducedMotion: "reduce" });
const ids = new Map(); // page -> its anchors
const links = []; // [page, target]
const numbers = { pages: 0, links: 0, pictures: 0, formulas: 0, answers: 0, explorers: 0 };

for (const name of pages) {
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && note("console", name, message.text()));
  page.on("pageerror", (error) => note("console", name, String(error)));
  page.on("request", (r) => /^(file|data|blob):/.test(r.url()) || note("outside", name, r.url()));
  page.on("requestfailed", (r) => note("failed", name, r.url()));
  await page.goto(pathToFileURL(join(root, name)).href, { waitUntil: "load", timeout: 120000 });
  const found = await page.evaluate(() => ({
    ids: [...document.querySelectorAll("[id]")].map((e) => e.id),
    links: [...document.querySelectorAll("a[href]")].map((e) => e.href),
    headings: [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((e) => Number(e.tagName[1])),
    noAlt: [...document.querySelectorAll("article img")].filter((e) => (e.alt || "").length < 20).length,
    pictures: document.querySelectorAll("article img").length,
    formulas: document.querySelectorAll("math").length,
    answers: document.querySelectorAll("article details").length,
    explorers: document.querySelectorAll(".moves, .explorer").length,
  }));
  numbers.pages += 1;
  for (const key of ["pictures", "formulas", "answers", "explorers"]) numbers[key] += found[key];
  ids.set(join(root, name), new Set(found.ids));
  for (const target of found.links) links.push([name, target]);
  if (found.noAlt) note("pictures without words", name, found.noAlt);
  found.headings.forEach((n, i) => i && n > found.headings[i - 1] + 1 && note("headings", name, `h${found.headings[i - 1]}, h${n}`));

  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    if (colorScheme === "light") await page.evaluate(axe);
    const result = await page.evaluate(async (all) => {
      const rules = all ? undefined : { type: "rule", values: ["color-contrast"] };
      const { violations } = await axe.run(document, { runOnly: rules, resultTypes: ["violations"], preload: false });
      return violations.map((v) => [v.impact, v.id, v.nodes.length, v.nodes[0].target.join(" "), v.nodes[0].failureSummary]);
    }, colorScheme === "light");
    for (const [impact, id, n, where, why] of result) {
      const words = `${id} x${n}, first ${where}: ${why.split("\n")[1]?.trim()}`;
      note(["serious", "critical"].includes(impact) ? `axe, ${colorScheme}` : "axe, minor", name, words);
    }
  }
  for (const figure of await page.$$("figure.explorer")) { // every control, by keyboard, shows another picture
    const shown = () => figure.$eval("img", (e) => e.decode().then(() => e.src, () => "no picture"));
    const seen = async (control, ...keys) => {
      const found = [];
      for (const key of keys) found.push(await (key ? control.press(key).then(shown) : shown()));
      return found.every((each) => each !== "no picture") && found[0] !== found.at(-1);
    };
    const [controls, desk] = [await figure.$$("input"), await figure.$$(".desk button")];
    const answers = [];
    for (const each of controls) answers.push(await seen(each, ...((await each.getAttribute("type")) === "range" ? ["Home", "End"] : ["", " "])));
    const start = await shown();
    for (const each of [...desk].reverse()) await each.press("Enter");
    if (desk.length) answers.push(start !== (await shown()) && (await shown()) !== "no picture");
    if (!answers.length || answers.includes(false)) note("explorers", name, `controls that answer: ${answers.join(", ") || "none"}`);
  }
  await page.setViewportSize({ width: 360, height: 740 });
  const wide = await page.evaluate(() => {
    const limit = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= limit) return null;
    const e = [...document.querySelectorAll("article *")].find((e) => e.getBoundingClientRect().right > limit + 1 && !e.closest(".scroll, div.math, pre, .table-wrapper"));
    return `${document.documentElement.scrollWidth} px: ${e ? e.outerHTML.slice(0, 120) : "?"}`;
  });
  if (wide) note("wider than 360 px", name, wide);

  await page.setViewportSize({ width: 680, height: 960 }); // what A4 has between its margins
  await page.emulateMedia({ media: "print", colorScheme: "light" });
  const printed = await page.evaluate(() => {
    dispatchEvent(new Event("beforeprint"));
    const shown = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.offsetWidth && e.offsetHeight);
    const wrong = [];
    for (const e of shown("body *")) if (getComputedStyle(e).position === "fixed") wrong.push(["on every sheet", e]);
    for (const e of shown("article pre, .scroll, div.math")) if (e.scrollWidth > e.clientWidth + 1) wrong.push(["cut off", e]);
    for (const e of shown("article details:not([open], .hide)")) wrong.push(["folded", e]);
    return wrong.map(([what, e]) => `${what}: ${e.outerHTML.slice(0, 100)}`);
  });
  for (const words of printed) note("print", name, words);
  await page.close();
}
for (const [page, target] of links) {
  if (!target.startsWith("file:")) continue;
  numbers.links += 1;
  const url = new URL(target);
  const anchor = decodeURIComponent(url.hash.slice(1));
  url.hash = url.search = "";
  const there = fileURLToPath(url);
  if (!existsSync(there)) note("links", page, relative(root, there));
  else if (anchor && ids.has(there) && !ids.get(there).has(anchor)) note("links", page, `${relative(root, there)}#${anchor}`);
}
await browser.close();
console.log(Object.entries(numbers).map(([what, n]) => `${n} ${what}`).join(", "));
for (const [kind, list] of Object.entries(wrong)) {
  console.log(`\n${kind}: ${list.length}`);
  for (const line of list.slice(0, 12)) console.log(`  ${line}`);
}
const grave = Object.keys(wrong).filter((kind) => kind !== "axe, minor");
console.log(grave.length ? "\nwrong." : "\nnothing is wrong.");
process.exit(grave.length ? 1 : 0);
