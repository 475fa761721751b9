// What stays in this browser: theme, notes, how far one has read. Without storage, nothing stays and nothing breaks.

/** @param {string} key @returns {string|null} */
export function kept(key) { try { return localStorage.getItem(`glaswerk-${key}`); } catch { return null; } }
/** @param {string} key @param {string} value */
export function keep(key, value) { try { localStorage.setItem(`glaswerk-${key}`, value); } catch { /* no storage */ } }
