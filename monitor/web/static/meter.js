// How loud it is: the level of a stream of sound, ten times a second.

const EVERY_MS = 100;
const FLOOR_DB = -60;

// Calls `heard(level)` with 0 (silence) to 1 (full scale), even to the ear; gives what ends it.
export function measure(stream, heard) {
  const Context = window.AudioContext || window.webkitAudioContext;
  if (!Context) return () => {};
  const context = new Context();
  const analyser = context.createAnalyser();
  analyser.fftSize = 2048;
  context.createMediaStreamSource(stream).connect(analyser);
  const wave = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(wave);
    const power = wave.reduce((sum, one) => sum + one * one, 0) / wave.length;
    const db = 10 * Math.log10(Math.max(power, 1e-12));
    heard(Math.min(1, Math.max(0, 1 - db / FLOOR_DB)));
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
    context.close();
  };
}
