/**
 * Pointer and keyboard input of a plane: drag moves the point; Shift + drag, the right button or two fingers pan; wheel
 * or pinch zooms; keys do all of it.
 */

const STEP = 24;
const ZOOM = 1.25;
/** The length in pixels of a movement from which it is a drag: a hand is not quite still when it clicks. */
const CLICK = 4;

/**
 * @param element the element that receives focus and input
 * @param does { press, move, hover, leave, click, pan, zoom, nudge, reset }, with positions in pixels from the upper left
 */
export function listen(element, does) {
  const fingers = new Map();
  let [panning, travelled] = [false, 0];
  const at = (event) => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    panning = event.shiftKey || event.button > 0 || fingers.size > 1;
    travelled = 0;
    if (!panning) does.press(at(event));
  });
  element.addEventListener("pointermove", (event) => {
    const [before, now] = [fingers.get(event.pointerId), at(event)];
    if (!before) return does.hover(now);
    travelled += distance(before, now);
    if (fingers.size > 1) pinch(event.pointerId, before, now);
    else if (panning) does.pan(now[0] - before[0], now[1] - before[1]);
    else if (travelled >= CLICK) does.move(now);
    fingers.set(event.pointerId, now);
  });
  const lift = (event) => {
    if (fingers.delete(event.pointerId) && !panning && travelled < CLICK && event.type === "pointerup")
      does.click(at(event));
  };
  element.addEventListener("pointerup", lift);
  element.addEventListener("pointercancel", lift);
  element.addEventListener("pointerleave", () => does.leave());
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      does.zoom(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 250), at(event));
    },
    { passive: false },
  );
  element.addEventListener("keydown", (event) => {
    if (keyed(event, does)) event.preventDefault();
  });

  function pinch(id, before, now) {
    const other = [...fingers].find(([key]) => key !== id)[1];
    does.zoom(distance(now, other) / Math.max(1, distance(before, other)), other);
    does.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }
}

const distance = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]);

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Handle a key; return whether it has a function. */
export function keyed(event, does) {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const arrow = ARROWS[event.key];
  if (arrow && event.shiftKey) does.pan(-STEP * arrow[0], -STEP * arrow[1]);
  else if (arrow) does.nudge(...arrow);
  else if (event.key === "+" || event.key === "=") does.zoom(ZOOM);
  else if (event.key === "-") does.zoom(1 / ZOOM);
  else if (event.key === "0") does.reset();
  else if (event.key === "Enter") does.choose();
  else return false;
  return true;
}
