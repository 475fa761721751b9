// How far each chapter was read, and the way back to where one was: kept in this browser. On Home also what is due for
// review. Left out: the quiz (quiz.js).

import { ask, language, live } from "./data.js";
import { keep, kept } from "./storage.js";
import frame from "./texts/frame.js";

const t = frame[language];
/** @typedef {{name: string, language: string, section: string, heading: string}} Place */

// ---------------------------------------------------------------- in a chapter
const chapter = /** @type {HTMLElement|null} */ (document.querySelector("article.chapter"));
if (chapter) {
  const name = chapter.dataset.chapter ?? "";
  const headings = /** @type {HTMLElement[]} */ ([...chapter.querySelectorAll("h2[id], h3[id]")]);
  let furthest = Number(kept(`read-${name}`) ?? 0);
  let waiting = false;
  const seen = () => {
    waiting = false;
    const box = chapter.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (innerHeight - box.top) / box.height));
    if (share > furthest) { furthest = share; keep(`read-${name}`, share.toFixed(3)); }
    const above = headings.filter((heading) => heading.getBoundingClientRect().top < innerHeight / 2).pop();
    /** @type {Place} */
    const place = { name, language, section: above?.id ?? "", heading: above?.textContent ?? "" };
    keep("last", JSON.stringify(place));
  };
  seen();
  addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(seen); } }, { passive: true });
}

// ---------------------------------------------------------------- where chapters are listed
for (const link of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".outline [data-chapter]"))) {
  const share = Number(kept(`read-${link.dataset.chapter}`) ?? 0);
  if (share > 0.02) link.dataset.read = share > 0.95 ? t.read : `${Math.round(100 * share)} %`;
}

/** The way back, in the words of this page's language; a heading only where it was read in this language.
 * @param {HTMLAnchorElement} link @param {Place} last */
function lead(link, last) {
  const entry = /** @type {HTMLAnchorElement|null} */ (document.querySelector(`.outline a[data-chapter="${CSS.escape(last.name)}"]`));
  if (!entry) return; // a chapter that this version has not
  const here = last.language === language && last.section;
  link.href = entry.href + (here ? `#${last.section}` : "");
  link.textContent = `${link.textContent}: ${entry.textContent}${here ? ` · ${last.heading}` : ""}`;
  link.hidden = false;
}
const onwards = /** @type {HTMLAnchorElement|null} */ (document.querySelector("a.continue"));
try {
  const last = JSON.parse(kept("last") ?? "null");
  if (onwards && last) lead(onwards, last);
} catch { /* nothing to continue */ }

// ---------------------------------------------------------------- what is due
const due = /** @type {HTMLAnchorElement|null} */ (document.querySelector("a.due"));
if (due && live) {
  ask("review", { language }).then(({ due: count }) => {
    if (!count) return;
    due.textContent = `${due.textContent}: ${count}`;
    due.hidden = false;
  }, () => { /* the lab has stopped, which the page says anyway */ });
}
