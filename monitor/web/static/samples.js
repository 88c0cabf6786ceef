// What the pages for face and voice share: sentences of the page, sending, and watching what becomes of it.

const POLL_MS = 1000;
const POLL_LONGEST_MS = 8000;
const HOLDERS = ["given", "onward"];

export const byId = (id) => document.getElementById(id);

// Every sentence stands in the page itself, so that it is translated and read over in one place.
export function sentence(code) {
  const found = document.querySelector(`#sentences [data-code="${code}"]`);
  return found ? found.textContent : "";
}

export function show(...elements) {
  for (const one of elements) one.hidden = false;
}

export function hide(...elements) {
  for (const one of elements) one.hidden = true;
}

export function complain(element, code) {
  element.textContent = sentence(code);
  element.hidden = !code;
}

// Why there is no camera or microphone, in the page's words. See the exceptions of getUserMedia.
export function whyNot(error) {
  if (!window.isSecureContext) return "insecure";
  if (error.name === "NotAllowedError" || error.name === "SecurityError") return "denied";
  if (error.name === "NotFoundError" || error.name === "OverconstrainedError") return "none";
  if (error.name === "NotReadableError" || error.name === "AbortError") return "busy";
  return "broken";
}

// Whether this browser can do it at all: nothing when it can, the code of a sentence when not.
export function missing(...needed) {
  if (!window.isSecureContext) return "insecure";
  if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) return "missing";
  return needed.every((name) => name in window) ? "" : "missing";
}

// Send one blob; gives {code, text}: code is "sent", "not_sent", or that of the problem.
export async function send(blob, name) {
  const form = new FormData();
  form.append("sample", blob, name);
  byId("status").textContent = sentence("sending");
  let result;
  try {
    const answer = await fetch(location.pathname, {
      method: "POST",
      body: form,
      headers: { Accept: "application/json" },
    });
    const said = await answer.json();
    const problem = (said.problems || [])[0];
    result = problem
      ? { code: problem.code, text: `${problem.sentence} ${problem.hint}` }
      : { code: answer.ok ? "sent" : "not_sent", text: sentence(answer.ok ? "sent" : "not_sent") };
  } catch {
    result = { code: "not_sent", text: sentence("not_sent") };
  }
  byId("status").textContent = result.text;
  if (result.code === "sent") await refresh();
  return result;
}

// Put the newest list in place of the one that is shown.
async function refresh() {
  const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement ? document.activeElement.id : "";
  for (const id of HOLDERS) {
    const next = fresh.getElementById(id);
    if (next) byId(id).replaceWith(document.adoptNode(next));
  }
  if (focused && byId(focused)) byId(focused).focus();
  byId("status").textContent = byId("given").dataset.summary || "";
  watch();
}

let timer = 0;
let wait = POLL_MS;
let states = "";

function watch() {
  clearTimeout(timer);
  if (!("waiting" in byId("given").dataset)) {
    wait = POLL_MS;
    return;
  }
  timer = setTimeout(look, wait);
  wait = Math.min(wait * 1.3, POLL_LONGEST_MS);
}

async function look() {
  try {
    const answer = await fetch("/enrol/samples.json", { headers: { Accept: "application/json" } });
    const now = answer.ok ? (await answer.json()).samples.map((one) => one.id + one.state).join() : states;
    if (now !== states) {
      states = now;
      wait = POLL_MS;
      await refresh();
      return;
    }
  } catch {
    // the connection is away: it is tried again
  }
  watch();
}

// Say before sending that a file is too large: the server would refuse it only after some of it was sent.
const upload = byId("upload");
upload.addEventListener("submit", (event) => {
  const size = [...byId("files").files].reduce((sum, file) => sum + file.size, 0);
  const problem = byId("upload-problem");
  if (size > Number(upload.dataset.max)) {
    event.preventDefault();
    complain(problem, "too_large");
    return;
  }
  hide(problem);
  byId("status").textContent = sentence("sending");
});

const problems = byId("problems");
if (problems) problems.focus();
watch();
