// node page.js <playwright-core> <chromium> <url> <screenshot>: opens a page, waits for window.found, prints it as JSON.
const [playwright, executablePath, url, picture] = process.argv.slice(2);
const launch = require('./launch.js');
const seen = { failed: [], problems: [] };

(async () => {
  const browser = await launch(playwright, executablePath);
  const page = await browser.newPage({ viewport: { width: 900, height: 700 } });
  await page.route('**/*', route => (['127.0.0.1', ''].includes(new URL(route.request().url()).hostname) ? route.continue() : route.abort()));
  page.on('response', answer => answer.status() >= 400 && !answer.url().endsWith('/favicon.ico') && seen.failed.push(`${answer.status()} ${answer.url()}`));
  page.on('pageerror', error => seen.problems.push(String(error)));
  page.on('console', message => message.type() === 'error' && seen.problems.push(message.text()));
  try {
    await page.goto(url, { waitUntil: 'domcontentloaded' });
    await page.waitForFunction(() => window.found, null, { timeout: 120000 });
    Object.assign(seen, await page.evaluate(() => window.found));
  } catch (error) {
    seen.problems.push(String(error));
  }
  await page.screenshot({ path: picture }).catch(() => {});
  await browser.close();
  console.log(JSON.stringify(seen));
})();
