// The camera on the page for the face: what is seen is guided, taken, looked at, and sent when the person says so.

import { byId, complain, hide, missing, sentence, show, whyNot } from "./samples.js";
import { review, use } from "./taking.js";

const LOOK_EVERY_MS = 500;
const GOOD_FOR_MS = 1000;
const COUNT_FROM = 3;
const MOVED = 14; // mean difference of two looks, grey levels: above it the head or the hand moves
const DARK = 45; // as DARK and BRIGHT of enrollment/guidance.py, for when the server does not guide
const BRIGHT = 215;
const JPEG_QUALITY = 0.92;

const panel = byId("camera");
const side = Number(panel.dataset.side);
const video = byId("video");
const small = document.createElement("canvas");
small.width = side;
small.height = side;
const pen = small.getContext("2d", { willReadFrequently: true });

let stream = null;
let running = 0; // number of the present run of looks: an older one ends by itself
let before = null;
let goodSince = 0;
let aloud = 0;

const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
byId("auto").checked = !calm;
show(panel);
const cannot = missing("FormData", "HTMLCanvasElement");
if (cannot) {
  complain(byId("camera-problem"), cannot);
  hide(byId("start"));
}

async function start() {
  complain(byId("camera-problem"), "");
  byId("start").disabled = true;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 720 } },
    });
    for (const track of stream.getTracks()) track.addEventListener("ended", () => fail("broken"));
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    fail(whyNot(error));
    return;
  } finally {
    byId("start").disabled = false;
  }
  hide(byId("start"), byId("review"), byId("use"), byId("again"));
  show(byId("stage"), byId("take"), byId("stop"));
  byId("take").focus();
  keepLooking();
}

function stop() {
  running += 1;
  if (stream) for (const track of stream.getTracks()) track.stop();
  stream = null;
  video.srcObject = null;
  hide(byId("stage"), byId("take"), byId("stop"), byId("count"));
  show(byId("start"));
}

function fail(code) {
  stop();
  complain(byId("camera-problem"), code);
  byId("start").focus();
}

async function keepLooking() {
  running += 1;
  const run = running;
  before = null;
  goodSince = 0;
  while (run === running) {
    const began = performance.now();
    if (!document.hidden && video.videoWidth) await look(run);
    await new Promise((go) => setTimeout(go, Math.max(0, LOOK_EVERY_MS - (performance.now() - began))));
  }
}

async function look(run) {
  const pixels = middle();
  const moved = before ? difference(before, pixels) : 0;
  before = pixels;
  const said = await ask(pixels);
  if (run !== running) return;
  guide(said.ok && moved > MOVED ? "hold_still" : said.code, said.ok && moved <= MOVED);
}

// The middle square of the video, as the camera sees it: red, green, blue of each pixel.
function middle() {
  const edge = Math.min(video.videoWidth, video.videoHeight);
  const left = (video.videoWidth - edge) / 2;
  const top = (video.videoHeight - edge) / 2;
  pen.drawImage(video, left, top, edge, edge, 0, 0, side, side);
  const { data } = pen.getImageData(0, 0, side, side);
  const pixels = new Uint8Array(side * side * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    pixels[to++] = data[from];
    pixels[to++] = data[from + 1];
    pixels[to++] = data[from + 2];
  }
  return pixels;
}

async function ask(pixels) {
  try {
    const answer = await fetch("/enrol/guide", {
      method: "POST",
      body: pixels,
      headers: { "Content-Type": "application/octet-stream", Accept: "application/json" },
    });
    if (answer.ok) return await answer.json();
  } catch {
    // without the server's word brightness alone decides
  }
  const level = pixels.reduce((sum, one) => sum + one, 0) / pixels.length;
  if (level < DARK) return { code: "too_dark", ok: false };
  return level > BRIGHT ? { code: "too_bright", ok: false } : { code: "unguided", ok: false };
}

function difference(one, other) {
  let sum = 0;
  for (let i = 0; i < one.length; i += 3) sum += Math.abs(one[i] - other[i]);
  return (3 * sum) / one.length;
}

function guide(code, ok) {
  const place = byId("say");
  const text = sentence(code);
  if (place.dataset.code !== code) {
    place.dataset.code = code;
    place.dataset.ok = ok ? "yes" : "no";
    place.textContent = text;
    clearTimeout(aloud); // a screen reader hears what still holds after a second, not every change
    aloud = setTimeout(() => (byId("say-aloud").textContent = text), GOOD_FOR_MS);
  }
  const now = performance.now();
  if (!ok) goodSince = 0;
  else if (!goodSince) goodSince = now;
  else if (now - goodSince >= GOOD_FOR_MS && byId("auto").checked && byId("count").hidden) take();
}

async function countDown() {
  const run = running;
  byId("take").disabled = true;
  show(byId("count"));
  for (let left = COUNT_FROM; left > 0 && run === running; left -= 1) {
    byId("count").textContent = String(left);
    await new Promise((go) => setTimeout(go, 1000));
  }
  hide(byId("count"));
  byId("take").disabled = false;
  if (run === running && stream) take();
}

// The whole picture as the camera sees it: what is shown is mirrored, what is taken is not.
function take() {
  const whole = document.createElement("canvas");
  whole.width = video.videoWidth;
  whole.height = video.videoHeight;
  whole.getContext("2d").drawImage(video, 0, 0);
  whole.toBlob((blob) => (blob ? review(blob) : fail("broken")), "image/jpeg", JPEG_QUALITY);
  stop();
}

byId("start").addEventListener("click", start);
byId("take").addEventListener("click", countDown);
byId("stop").addEventListener("click", stop);
byId("again").addEventListener("click", start);
byId("use").addEventListener("click", () => use("camera.jpg", byId("camera-problem")));
window.addEventListener("pagehide", stop);
