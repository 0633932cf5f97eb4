/** The contents of the page: facts and files. Files are gzip in base64 within the page, or come from the server. */

export const facts = () => JSON.parse(document.getElementById("facts").textContent);

/** Return the bytes of a file. */
export async function file(name) {
  const element = document.getElementById(`file:${name}`);
  const packed = element ? fromBase64(element.textContent) : await fetched(name);
  element?.remove();
  return inflated(packed);
}

const TYPES = { float32: Float32Array, float64: Float64Array, uint8: Uint8Array };

/** Return the numbers of an array in the facts; null for null. */
export async function array(named) {
  if (!named) return null;
  const bytes = await file(named.file);
  const Numbers = TYPES[named.type];
  return new Numbers(bytes.buffer, bytes.byteOffset, bytes.length / Numbers.BYTES_PER_ELEMENT);
}

export function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text.trim());
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

export async function inflated(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function fetched(name) {
  const reply = await fetch(document.documentElement.dataset.files + name);
  if (!reply.ok) throw new Error(`${name} could not be fetched: ${reply.status}`);
  return new Uint8Array(await reply.arrayBuffer());
}
