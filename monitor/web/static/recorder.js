// The microphone on the page for the voice: recorded, listened to, and sent when the person says so.

import { measure } from "./meter.js";
import { byId, complain, hide, missing, sentence, show, whyNot } from "./samples.js";
import { review, use } from "./taking.js";

const ENOUGH_S = 10;
const LONGEST_S = 40;
const QUIET_AFTER_S = 3;
const QUIET = 0.25; // of the meter: 45 dB below full scale, where nobody speaks into the microphone
// Chromium and Firefox make the first ones, Safari MP4; an empty one is the browser's own choice.
const TYPES = ["audio/webm;codecs=opus", "audio/mp4;codecs=mp4a.40.2", "audio/mp4", "audio/ogg;codecs=opus", ""];

let stream = null;
let recorder = null;
let endMeter = () => {};
let clock = 0;
let loudest = 0;

show(byId("microphone"));
const cannot = missing("MediaRecorder");
if (cannot) {
  complain(byId("microphone-problem"), cannot);
  hide(byId("start"));
}

async function start() {
  complain(byId("microphone-problem"), "");
  byId("start").disabled = true;
  try {
    // What browsers do to make calls pleasant takes away what tells voices apart.
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: true },
    });
    record();
  } catch (error) {
    fail(whyNot(error));
    return;
  } finally {
    byId("start").disabled = false;
  }
  hide(byId("start"), byId("review"), byId("use"), byId("again"));
  show(byId("recording"), byId("stop"));
  byId("stop").focus();
}

function record() {
  const mimeType = TYPES.find((type) => !type || MediaRecorder.isTypeSupported(type));
  recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
  const parts = [];
  recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
  recorder.addEventListener("error", () => fail("broken"));
  recorder.addEventListener("stop", () => recorded(new Blob(parts, { type: recorder.mimeType })));
  for (const track of stream.getTracks()) track.addEventListener("ended", finish);
  recorder.start();
  loudest = 0;
  endMeter = measure(stream, (level) => {
    byId("level").value = level;
    loudest = Math.max(loudest, level);
  });
  const began = performance.now();
  say("recording");
  clock = setInterval(() => tick(Math.floor((performance.now() - began) / 1000)), 250);
}

function tick(seconds) {
  byId("seconds").textContent = `${seconds} ${sentence("of_ten")}`;
  if (seconds >= QUIET_AFTER_S && loudest < QUIET) say("quiet");
  else if (seconds >= ENOUGH_S) say("enough");
  else say("recording");
  if (seconds >= LONGEST_S) finish();
}

function say(code) {
  const place = byId("say-aloud");
  if (place.dataset.code === code) return;
  place.dataset.code = code;
  place.textContent = sentence(code);
  byId("status").textContent = sentence(code);
}

function finish() {
  if (recorder && recorder.state !== "inactive") recorder.stop();
  close();
}

function close() {
  clearInterval(clock);
  endMeter();
  endMeter = () => {};
  if (stream) for (const track of stream.getTracks()) track.stop();
  stream = null;
  hide(byId("recording"), byId("stop"));
}

function fail(code) {
  recorder = null;
  close();
  complain(byId("microphone-problem"), code);
  show(byId("start"));
  byId("start").focus();
}

function recorded(blob) {
  if (!recorder || !blob.size) return;
  byId("status").textContent = sentence("stopped");
  review(blob);
}

byId("start").addEventListener("click", start);
byId("stop").addEventListener("click", finish);
byId("again").addEventListener("click", start);
byId("use").addEventListener("click", () => use("recording", byId("microphone-problem")));
window.addEventListener("pagehide", close);
