// Show that it is you: the directions one by one, the digits, one recording, and what became of it.

const STEP_MS = { ahead: 1000, turn: 2200, back: 1000, speak: 8500, tail: 400 };
// Together 17 seconds; the service looks at twenty. Nothing moves or flashes by itself.
const BITS_PER_SECOND = 1_800_000;
const POLL_MS = 1000;
const POLL_LONGEST_MS = 5000;
const TYPES = ["video/webm;codecs=vp8,opus", "video/mp4;codecs=avc1,mp4a.40.2", "video/mp4", "video/webm", ""];

const byId = (id) => document.getElementById(id);
const here = location.pathname;
let stream = null;
let run = 0; // number of the present try: an older one ends by itself
let skip = () => {};

function sentence(code) {
  const found = document.querySelector(`#sentences [data-code="${code}"]`);
  return found ? found.textContent : "";
}

function show(...ids) {
  for (const id of ids) byId(id).hidden = false;
}

function hide(...ids) {
  for (const id of ids) byId(id).hidden = true;
}

function complain(text) {
  byId("camera-problem").textContent = text;
  byId("camera-problem").hidden = !text;
}

function aloud(text) {
  byId("aloud").textContent = text;
}

// Why there is no camera or microphone, in the page's words. See the exceptions of getUserMedia.
function whyNot(error) {
  if (!window.isSecureContext) return "insecure";
  if (error.name === "NotAllowedError" || error.name === "SecurityError") return "denied";
  if (error.name === "NotFoundError" || error.name === "OverconstrainedError") return "none";
  if (error.name === "NotReadableError" || error.name === "AbortError") return "busy";
  return "broken";
}

function missing() {
  if (!window.isSecureContext) return "insecure";
  return navigator.mediaDevices && navigator.mediaDevices.getUserMedia && "MediaRecorder" in window ? "" : "missing";
}

async function start() {
  complain("");
  byId("start").disabled = true;
  try {
    // What browsers do to make calls pleasant takes away what tells voices apart.
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: true },
      video: { facingMode: "user", width: { ideal: 960 }, height: { ideal: 720 }, frameRate: { ideal: 24 } },
    });
    for (const track of stream.getTracks()) track.addEventListener("ended", () => fail("broken"));
    byId("video").srcObject = stream;
    await byId("video").play();
  } catch (error) {
    fail(whyNot(error));
    return;
  } finally {
    byId("start").disabled = false;
  }
  hide("start", "how");
  if (byId("challenge")) hide("challenge");
  show("stage", "begin", "stop");
  aloud(sentence("ready"));
  byId("begin").focus();
}

function release() {
  run += 1;
  skip();
  if (stream) for (const track of stream.getTracks()) track.stop();
  stream = null;
  byId("video").srcObject = null;
  hide("stage", "directions", "begin", "said", "stop");
  show("start");
}

function fail(code, text = "") {
  release();
  complain(text || sentence(code));
  byId("start").focus();
}

async function begin() {
  complain("");
  byId("begin").disabled = true;
  try {
    const drawn = await draw();
    if (drawn.problem) {
      fail("", drawn.problem);
      return;
    }
    const clip = await record(drawn);
    if (!clip) return;
    release();
    hide("start");
    await send(drawn.path, clip);
  } catch {
    fail("not_sent");
  } finally {
    byId("begin").disabled = false;
  }
}

async function draw() {
  const form = new URLSearchParams();
  if (byId("language")) form.set("language", byId("language").value);
  const answer = await fetch(here, { method: "POST", body: form, headers: { Accept: "application/json" } });
  return answer.json();
}

// One recording from the first direction to the last digit; nothing where it was stopped.
async function record(drawn) {
  run += 1;
  const mine = run;
  const mimeType = TYPES.find((type) => !type || MediaRecorder.isTypeSupported(type));
  const recorder = new MediaRecorder(stream, { videoBitsPerSecond: BITS_PER_SECOND, ...(mimeType ? { mimeType } : {}) });
  const parts = [];
  recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
  const ended = new Promise((done) => recorder.addEventListener("stop", done));
  recorder.start();
  hide("begin");
  show("directions");
  await direct(drawn, mine);
  if (recorder.state !== "inactive") recorder.stop();
  await ended;
  return mine === run ? new Blob(parts, { type: recorder.mimeType }) : null;
}

async function direct(drawn, mine) {
  const steps = [{ text: sentence("ahead"), ms: STEP_MS.ahead, arrow: "" }];
  for (const turn of drawn.turns) {
    steps.push({ text: turn.text, ms: STEP_MS.turn, arrow: turn.arrow });
    steps.push({ text: sentence("back"), ms: STEP_MS.back, arrow: "" });
  }
  byId("steps").max = steps.length + 1;
  for (const [number, step] of steps.entries()) {
    if (mine !== run) return;
    tell(step.text, step.arrow, number + 1);
    await pause(step.ms);
  }
  if (mine !== run) return;
  speak(drawn, steps.length + 1);
  await pause(STEP_MS.speak);
  hide("said");
  byId("digits").hidden = true;
  await pause(STEP_MS.tail); // the last word is not cut off
}

function tell(text, arrow, number) {
  byId("say").textContent = text;
  byId("arrow").textContent = arrow;
  byId("steps").value = number;
  aloud(text);
}

function speak(drawn, number) {
  const row = byId("digits");
  row.lang = drawn.language.code;
  row.replaceChildren(
    ...drawn.digits.flatMap(({ digit, word }) => {
      const one = document.createElement("span");
      const small = document.createElement("small");
      one.className = "digit";
      small.textContent = word;
      one.append(digit, " ", small);
      return [one, " "];
    }),
  );
  row.hidden = false;
  tell(`${sentence("speak")}: ${drawn.digits.map((one) => one.digit).join(" ")}`, "", number);
  byId("say").textContent = sentence("speak");
  show("said");
  byId("said").focus({ preventScroll: true });
}

function pause(ms) {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    skip = () => {
      clearTimeout(timer);
      done();
    };
  });
}

function send(path, clip) {
  show("sending");
  aloud(sentence("sending"));
  const form = new FormData();
  form.append("clip", clip, "clip");
  return new Promise((done, gone) => {
    const request = new XMLHttpRequest(); // fetch does not say how much was sent
    request.open("POST", path);
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) byId("sent").value = event.loaded / event.total;
    });
    request.addEventListener("error", gone);
    request.addEventListener("load", () => {
      hide("sending");
      const said = JSON.parse(request.responseText);
      if (request.status === 200) {
        looking();
        poll(POLL_MS);
      } else fail("", said.problem);
      done();
    });
    request.send(form);
  }).finally(() => hide("sending"));
}

function looking() {
  outcome("looking", sentence("looking_title"), sentence("looking"));
}

function outcome(state, heading, text) {
  byId("outcome").dataset.state = state;
  byId("outcome-title").textContent = heading;
  byId("outcome-text").textContent = text;
  show("outcome");
  byId("onward").hidden = state !== "done";
  aloud(`${heading}. ${text}`);
}

function poll(wait) {
  setTimeout(async () => {
    try {
      const answer = await fetch(`${here}/state.json`, { headers: { Accept: "application/json" } });
      const said = await answer.json();
      if (answer.ok && said.state !== "looking") {
        outcome(said.state, said.heading, said.text);
        if (said.state === "done") byId("onward").firstElementChild.focus();
        else {
          show("start");
          byId("start").focus();
        }
        return;
      }
    } catch {
      // the connection is away: it is tried again
    }
    poll(Math.min(wait * 1.3, POLL_LONGEST_MS));
  }, wait);
}

show("camera");
const cannot = missing();
if (cannot) {
  complain(sentence(cannot));
  hide("start");
}
byId("start").addEventListener("click", start);
byId("begin").addEventListener("click", begin);
byId("said").addEventListener("click", () => skip());
byId("stop").addEventListener("click", release);
window.addEventListener("pagehide", release);
if (byId("outcome").dataset.state === "looking") poll(POLL_MS);
