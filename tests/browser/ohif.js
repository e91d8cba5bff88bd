// Drives OHIF in a headless Chromium: the work list, then the study; one JSON object on standard output.
// node ohif.js <playwright-core> <chromium> <viewer url> <StudyInstanceUID> <patient name in the list> <folder for screenshots>
const [playwright, executablePath, viewer, study, patient, folder] = process.argv.slice(2);
const launch = require('./launch.js');
const found = { rows: [], failed: [], problems: [], painted: null };

// Grey levels of the middle of the viewport: { levels: how many differ, mean }.
const readCanvas = () => {
  const shown = [...document.querySelectorAll('canvas')].map(canvas => [canvas.getBoundingClientRect().width, canvas]);
  const [wide, canvas] = shown.sort((a, b) => b[0] - a[0])[0] || [0];
  if (wide < 400 || document.body.innerText.includes('Loading...')) return null; // thumbnails are painted off-screen

  const { width, height } = canvas;
  const copy = document.createElement('canvas');
  [copy.width, copy.height] = [256, 256];
  const context = copy.getContext('2d', { willReadFrequently: true });
  const side = Math.min(width, height);
  context.drawImage(canvas, (width - side) / 2, (height - side) / 2, side, side, 0, 0, 256, 256);
  const { data } = context.getImageData(0, 0, 256, 256);
  const levels = new Set();
  let sum = 0;
  for (let at = 0; at < data.length; at += 4) {
    levels.add(data[at]);
    sum += data[at];
  }
  return { levels: levels.size, mean: sum / (data.length / 4), width, height };
};

(async () => {
  const browser = await launch(playwright, executablePath);
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.route('**/*', route => (new URL(route.request().url()).hostname === '127.0.0.1' ? route.continue() : route.abort()));
  await page.addInitScript(() => localStorage.setItem('shownTours', '["basicViewerTour"]'));
  page.on('response', answer => answer.status() >= 400 && found.failed.push(`${answer.status()} ${answer.url()}`));
  page.on('pageerror', error => found.problems.push(String(error)));
  try {
    await page.goto(`${viewer}/`, { waitUntil: 'domcontentloaded' });
    await page.getByText(patient, { exact: false }).first().waitFor({ timeout: 60000 });
    found.rows = await page.locator('tr').allInnerTexts();
    await page.screenshot({ path: `${folder}/list.png` });
    await page.goto(`${viewer}/viewer?StudyInstanceUIDs=${study}`, { waitUntil: 'domcontentloaded' });
    const deadline = Date.now() + 90000;
    do {
      await page.waitForTimeout(250);
      found.painted = await page.evaluate(readCanvas);
    } while ((!found.painted || found.painted.levels < 30) && Date.now() < deadline);
    found.text = await page.locator('body').innerText();
    await page.screenshot({ path: `${folder}/study.png` });
  } catch (error) {
    found.problems.push(String(error));
    await page.screenshot({ path: `${folder}/problem.png` }).catch(() => {});
  }
  await browser.close();
  console.log(JSON.stringify(found));
})();
