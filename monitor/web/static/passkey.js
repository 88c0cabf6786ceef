// Makes and shows passkeys. A form with data-passkey="make" or "show" asks its data-options address what the
// browser shall do, lets the device do it, and is then sent as any form is, with the device's answer in it.

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));

const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

const named = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

async function make(options) {
  const made = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: named(options.excludeCredentials),
    },
  });
  return told(made, {
    attestationObject: text(made.response.attestationObject),
    transports: made.response.getTransports?.() ?? [],
  });
}

async function show(options) {
  const shown = await navigator.credentials.get({
    publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      allowCredentials: named(options.allowCredentials),
    },
  });
  return told(shown, {
    authenticatorData: text(shown.response.authenticatorData),
    signature: text(shown.response.signature),
    userHandle: shown.response.userHandle ? text(shown.response.userHandle) : null,
  });
}

function told(credential, response) {
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: { clientDataJSON: text(credential.response.clientDataJSON), ...response },
  };
}

// What browsers call their errors, in words that say what to do.
const WORDS = {
  NotAllowedError: "It was cancelled, or it took too long. Nothing has changed. You can try it once more.",
  InvalidStateError: "This device has a passkey for here already. You need not make another one.",
  NotSupportedError: "This device cannot make the kind of passkey that is needed here. Use another device, or a code.",
  SecurityError: "Passkeys do not work at this address. Use a code instead.",
};
const OTHERWISE = "That did not work, and nothing has changed. Try it once more, or use the other way.";

function start(form) {
  const said = form.querySelector("[data-said]");
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    said.hidden = true;
    try {
      const options = await fetch(form.dataset.options, { method: "POST" });
      if (!options.ok) throw new Error("no options");
      const answer = await (form.dataset.passkey === "make" ? make : show)(await options.json());
      form.elements.answer.value = JSON.stringify(answer);
      form.submit();
    } catch (error) {
      said.textContent = WORDS[error.name] ?? OTHERWISE;
      said.hidden = false;
      button.disabled = false;
    }
  });
}

if (window.PublicKeyCredential) {
  for (const form of document.querySelectorAll("form[data-passkey]")) start(form);
}
