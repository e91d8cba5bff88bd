// What every page shares: parameters from its address, and one object `window.found` once the work has ended.
export const parameters = Object.fromEntries(new URLSearchParams(location.search));

export async function report(work) {
  const found = {};
  try {
    await work(found);
  } catch (error) {
    found.error = String(error && error.stack ? error.stack : error.message || JSON.stringify(error));
  }
  window.found = found;
}

// Grey levels of a canvas: { levels, mean } over at most 256 x 256 of its pixels; it may be painted by WebGL.
export function levelsOf(canvas) {
  const copy = document.createElement('canvas');
  [copy.width, copy.height] = [256, 256];
  const context = copy.getContext('2d', { willReadFrequently: true });
  context.drawImage(canvas, 0, 0, 256, 256);
  const { data } = context.getImageData(0, 0, 256, 256);
  const levels = new Set();
  let sum = 0;
  for (let at = 0; at < data.length; at += 4) {
    levels.add(data[at] * 65536 + data[at + 1] * 256 + data[at + 2]);
    sum += data[at];
  }
  return { levels: levels.size, mean: sum / (data.length / 4) };
}

// Ask again until `ready()` is true or the time is up; true when it came.
export async function until(ready, seconds = 60) {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    if (await ready()) return true;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  return false;
}
