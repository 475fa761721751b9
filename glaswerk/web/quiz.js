// A chapter's quiz feeds the review: the first answer to a question on this page counts, right as "knew it", wrong as
// "guessed". Left out: showing what is right (shell.js), and the review itself (widgets/review.js).

import { language, live } from "./data.js";
import { send } from "./send.js";
import { inDays } from "./texts/review.js";

const chapter = /** @type {HTMLElement|null} */ (document.querySelector("article.chapter"));
const slug = (chapter?.dataset.chapter ?? "").replace(/^\d+-/, "");

for (const question of live ? /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-question]")) : []) {
  question.addEventListener("change", async (event) => {
    const right = /** @type {HTMLInputElement} */ (event.target).value === question.dataset.answer;
    try {
      const { counted, days } = await send("review", { card: `${slug}/${question.dataset.question}`, rating: right ? 3 : 1 });
      if (!counted) return;
      const note = document.createElement("p");
      note.className = "returns faint";
      const link = document.createElement("a");
      link.href = "../../review/";
      link.textContent = inDays(language, days);
      note.append({ en: "Comes back ", de: "Kommt wieder " }[language], link);
      question.append(note);
    } catch { /* the lab has stopped, which the page says anyway */ }
  }, { once: true });
}
