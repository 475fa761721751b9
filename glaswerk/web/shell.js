// What every page does besides its figures: theme, the model's state in the head line, the notice when the lab has
// stopped, definitions of terms, quiz, notes. Plain DOM; the page is readable before it runs.

import { language, live, look, status } from "./data.js";
import "./reading.js";
import { keep, kept } from "./storage.js";
import frame from "./texts/frame.js";

const t = frame[language];
const root = document.documentElement;

// ---------------------------------------------------------------- theme
const themes = ["auto", "light", "dark"];
const button = /** @type {HTMLButtonElement|null} */ (document.querySelector("button.theme"));
function showTheme() {
  const theme = root.dataset.theme ?? "auto";
  if (!button) return;
  button.textContent = { auto: "◐", light: "○", dark: "●" }[theme] ?? "◐";
  button.setAttribute("aria-label", t[`theme_${theme}`]);
  button.title = t[`theme_${theme}`];
}
button?.addEventListener("click", () => {
  const next = themes[(themes.indexOf(root.dataset.theme ?? "auto") + 1) % themes.length];
  if (next === "auto") delete root.dataset.theme; else root.dataset.theme = next;
  keep("theme", next);
  showTheme();
  document.dispatchEvent(new Event("glaswerk-theme"));
});
showTheme();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("glaswerk-theme")));

// ---------------------------------------------------------------- the model, and whether the lab is there
const state = /** @type {HTMLElement|null} */ (document.querySelector(".model-state"));
const stopped = /** @type {HTMLElement|null} */ (document.querySelector(".stopped"));
function showModel() {
  if (!state) return;
  state.dataset.state = status.state;
  const name = state.querySelector(".model-name");
  const words = { none: language === "de" ? "kein Modell" : "no model", recorded: language === "de" ? `aufgezeichnet: ${status.name}` : `recorded: ${status.name}`, loading: `${status.name} …`, failed: status.name };
  if (name) name.textContent = words[/** @type {keyof typeof words} */ (status.state)] ?? status.name;
  state.title = status.error || status.name;
}
document.addEventListener("glaswerk-model", showModel);
document.addEventListener("glaswerk-stopped", () => {
  if (!stopped) return;
  stopped.innerHTML = "";
  const command = document.createElement("code");
  command.textContent = "glaswerk lab";
  stopped.append(`${t.stopped} `, command, `; ${t.stopped_end}`);
  stopped.hidden = false;
});
document.addEventListener("glaswerk-back", () => { if (stopped) stopped.hidden = true; });
if (live) {
  const watch = async () => {
    await look();
    setTimeout(watch, document.hidden ? 15000 : status.state === "loading" ? 400 : 3000);
  };
  watch();
} else {
  showModel();
}

// ---------------------------------------------------------------- definitions on hover and focus
/** @type {HTMLElement|null} */
let shown = null;
function hide() { shown?.remove(); shown = null; }
/** @param {HTMLElement} term */
function define(term) {
  hide();
  const text = document.querySelector(`template[data-definition="${term.dataset.term}"]`);
  if (!(text instanceof HTMLTemplateElement)) return;
  shown = document.createElement("div");
  shown.className = "definition";
  shown.id = "definition";
  shown.setAttribute("role", "tooltip");
  shown.textContent = text.content.textContent;
  document.body.append(shown);
  const box = term.getBoundingClientRect();
  shown.style.left = `${Math.max(16, Math.min(box.left, innerWidth - shown.offsetWidth - 16)) + scrollX}px`;
  shown.style.top = `${box.bottom + scrollY + 6}px`;
  term.setAttribute("aria-describedby", "definition");
}
for (const term of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".term"))) {
  term.addEventListener("mouseenter", () => define(term));
  term.addEventListener("focus", () => define(term));
  term.addEventListener("mouseleave", hide);
  term.addEventListener("blur", hide);
}
addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

// ---------------------------------------------------------------- quiz
for (const question of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-question]"))) {
  question.addEventListener("change", (event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    const right = input.value === question.dataset.answer;
    for (const label of question.querySelectorAll("label")) delete label.dataset.mark;
    const label = input.closest("label");
    if (label) label.dataset.mark = right ? "right" : "wrong";
    const why = /** @type {HTMLElement} */ (question.querySelector(".why"));
    const verdict = document.createElement("b");
    verdict.textContent = (right ? why.dataset.right : why.dataset.wrong) ?? "";
    why.replaceChildren(verdict, " ");
    const reason = question.querySelector("template");
    if (right && reason) why.append(reason.content.cloneNode(true));
  });
}

// ---------------------------------------------------------------- notes and grades that stay in this browser
for (const field of /** @type {NodeListOf<HTMLTextAreaElement|HTMLInputElement>} */ (document.querySelectorAll("[data-key]"))) {
  const key = `note-${field.dataset.key}`;
  if (field instanceof HTMLInputElement && field.type === "radio") {
    field.checked = kept(key) === field.value;
    field.addEventListener("change", () => keep(key, field.value));
  } else if (field instanceof HTMLTextAreaElement) {
    field.value = kept(key) ?? "";
    field.addEventListener("input", () => keep(key, field.value));
  }
}
