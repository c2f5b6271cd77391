// What starts single.html: the page's script is inside of it, packed as everything else.

import { moduleUrl } from "./resources.js";

try {
  await import(await moduleUrl("app.js"));
} catch (error) {
  const problem = document.getElementById("problem");
  problem.textContent = `Not ready: ${error.message}`;
  problem.hidden = false;
  document.getElementById("status").textContent = "";
  document.dispatchEvent(new CustomEvent("edgegenre", { detail: { failed: error.message } }));
}
