// Runs before the page is drawn, so that a chosen theme does not flash: light, dark, or what the system says.
(() => {
  try {
    const chosen = localStorage.getItem("glaswerk-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch { /* no storage: the system decides */ }
})();
