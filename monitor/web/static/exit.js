// The way out: replaces this page in the browser's history, so that "back" does not lead here again.
// Without JavaScript the link is an ordinary one.

const TWICE_MS = 1500; // Two presses further apart than this are two accidents.

const link = document.getElementById("exit");

function leave() {
  // What is on the screen goes at once; the other page may take a moment.
  document.body.hidden = true;
  document.title = " ";
  window.location.replace(link.href);
}

if (link) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    leave();
  });
  let last = -Infinity;
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.repeat) return;
    if (event.timeStamp - last < TWICE_MS) leave();
    last = event.timeStamp;
  });
  const hint = document.getElementById("exit-key");
  if (hint) hint.hidden = false;
}
