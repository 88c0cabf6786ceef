// What camera and microphone share: what was taken is shown or played, and then used, or forgotten.

import { byId, hide, send, sentence, show } from "./samples.js";

let taken = null;

// Show or play what was taken, and offer to use it. Nothing was sent yet.
export function review(blob) {
  forget();
  taken = blob;
  byId("taken").src = URL.createObjectURL(blob);
  hide(byId("start"));
  show(byId("review"), byId("use"), byId("again"));
  byId("use").focus();
}

// Send what was taken. Where it could not be sent it is still here; where it was, or cannot be taken, it goes.
export async function use(name, problem) {
  byId("use").disabled = true;
  const { code, text } = await send(taken, name);
  byId("use").disabled = false;
  problem.textContent = code === "sent" ? "" : text;
  problem.hidden = code === "sent";
  if (code === "not_sent") return;
  forget();
  hide(byId("review"), byId("use"), byId("again"));
  byId("start").textContent = sentence("next");
  show(byId("start"));
  byId("start").focus();
}

// Let the browser drop the bytes.
function forget() {
  taken = null;
  if (byId("taken").src.startsWith("blob:")) URL.revokeObjectURL(byId("taken").src);
}
