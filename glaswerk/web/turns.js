// Whose turn it is when a page opens: a figure that is near the window computes at once, the others one after the other in
// the order of the page. So what is looked at comes first, and the page stays usable while slow figures wait.
// Left out: what a figure computes; what the reader changes later needs no turn.

const AT_ONCE = 2; // figures out of sight that compute at a time

/** waiting figures and what lets them begin @type {Map<Element, () => void>} */
const waiting = new Map();
let going = 0;

const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) if (isIntersecting) begin(target);
}, { rootMargin: "300px 0px" });

/** Resolves when it is this figure's turn; to be called once, and `over` when it is done. @param {Element} figure
 * @returns {Promise<void>} */
export function turn(figure) {
  return new Promise((begun) => {
    waiting.set(figure, begun);
    sight.observe(figure);
    // what is in sight is known after the next frame, so only then may others begin
    requestAnimationFrame(() => requestAnimationFrame(next));
  });
}

/** @param {Element} figure */
function begin(figure) {
  sight.unobserve(figure);
  waiting.get(figure)?.();
  if (waiting.delete(figure)) going++;
}

/** A figure that had its turn is done. */
export function over() { going--; next(); }

/** A figure that went away before its turn. @param {Element} figure */
export function gone(figure) { sight.unobserve(figure); waiting.delete(figure); }

function next() {
  while (going < AT_ONCE && waiting.size) {
    const first = [...waiting.keys()].reduce((one, other) => (one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_PRECEDING ? other : one));
    begin(first);
  }
}
