// Opens one address after the other in OHIF and says what is on the screen; one JSON object on standard output.
// node ohif_tour.js <playwright-core> <chromium> <folder for screenshots> <JSON: [{ name, url, wait, open }]>
// wait: "canvas" a painted image, or a selector that must be there; open: a series to double-click once it is there, and
// then a second selector to wait for.
const [playwright, executablePath, folder, stops] = process.argv.slice(2);
const launch = require('./launch.js');

// Colours of the largest canvas: how many differ among 256 x 256 of its pixels.
const readCanvas = () => {
  const shown = [...document.querySelectorAll('canvas')].map(canvas => [canvas.getBoundingClientRect().width, canvas]);
  const [wide, canvas] = shown.sort((a, b) => b[0] - a[0])[0] || [0];
  if (wide < 200 || document.body.innerText.includes('Loading...')) return 0;
  const copy = document.createElement('canvas');
  [copy.width, copy.height] = [256, 256];
  const context = copy.getContext('2d', { willReadFrequently: true });
  const side = Math.min(canvas.width, canvas.height);
  context.drawImage(canvas, (canvas.width - side) / 2, (canvas.height - side) / 2, side, side, 0, 0, 256, 256);
  const { data } = context.getImageData(0, 0, 256, 256);
  const colours = new Set();
  for (let at = 0; at < data.length; at += 4) colours.add(data[at] * 65536 + data[at + 1] * 256 + data[at + 2]);
  return colours.size;
};

async function visit(context, { name, url, wait, open, then }) {
  const seen = { failed: [], problems: [], types: [], measure: 0, text: '' };
  const page = await context.newPage();
  page.on('response', answer => {
    if (answer.status() >= 400) seen.failed.push(`${answer.status()} ${answer.url()}`);
    seen.types.push(answer.headers()['content-type'] || '');
  });
  page.on('pageerror', error => seen.problems.push(String(error)));
  try {
    await page.goto(url, { waitUntil: 'domcontentloaded' });
    const deadline = Date.now() + 60000;
    if (wait !== 'canvas') await page.waitForSelector(wait, { timeout: 60000 });
    while (wait === 'canvas' && seen.measure < 12 && Date.now() < deadline) {
      await page.waitForTimeout(250);
      seen.measure = await page.evaluate(readCanvas);
    }
    if (open) await page.getByText(open).first().dblclick();
    if (then) await page.waitForSelector(then, { timeout: 60000 });
    await page.waitForTimeout(1500); // not for a verdict: the picture may still sharpen before it is taken
    seen.text = await page.locator('body').innerText();
  } catch (error) {
    seen.problems.push(String(error));
  }
  await page.screenshot({ path: `${folder}/${name}.png` }).catch(() => {});
  await page.close();
  return seen;
}

(async () => {
  const browser = await launch(playwright, executablePath);
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  await context.route('**/*', route => (['127.0.0.1', ''].includes(new URL(route.request().url()).hostname) ? route.continue() : route.abort()));
  await context.addInitScript(() => localStorage.setItem('shownTours', '["basicViewerTour"]'));
  const found = {};
  for (const stop of JSON.parse(stops)) {
    found[stop.name] = await visit(context, stop);
    // on a busy machine the viewer's own start may leave the window black, without a request or an error; once more, then
    if (!found[stop.name].text?.trim()) found[stop.name] = await visit(context, stop);
  }
  await browser.close();
  console.log(JSON.stringify(found));
})();
