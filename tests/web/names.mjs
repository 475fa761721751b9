// What data.js makes of questions: their one text, and the name of the file with the answer. Run by test_static.py.
globalThis.document = { documentElement: { dataset: { mode: "static" }, lang: "en" } };
const { canonical, fingerprint } = await import("../../glaswerk/web/data.js");
let text = "";
for await (const part of process.stdin) text += part;
const told = JSON.parse(text).map((question) => [canonical(question), fingerprint(canonical(question))]);
console.log(JSON.stringify(told));
