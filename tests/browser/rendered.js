// node rendered.js <playwright-core> <chromium> <url> <screenshot>: opens what /rendered gives, prints what is on the screen.
const [playwright, executablePath, url, picture] = process.argv.slice(2);
const launch = require('./launch.js');
const seen = { failed: [], problems: [] };

(async () => {
  const browser = await launch(playwright, executablePath);
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  page.on('response', answer => answer.status() >= 400 && !answer.url().endsWith('/favicon.ico') && seen.failed.push(`${answer.status()} ${answer.url()}`));
  page.on('pageerror', error => seen.problems.push(String(error)));
  page.on('console', message => message.type() === 'error' && !message.location().url.endsWith('/favicon.ico') && seen.problems.push(message.text()));
  await page.goto(url, { waitUntil: 'load' });
  page.removeAllListeners('console'); // from here on it tells of our own questions, which the page's policy blocks
  Object.assign(seen, await page.evaluate(() => ({
    title: document.title,
    text: document.documentElement.textContent,
    headings: [...document.querySelectorAll('h1, h2, h3')].map(heading => heading.textContent.trim()),
    traces: document.querySelectorAll('polyline').length,
    width: document.documentElement.getBoundingClientRect().width,
    styled: getComputedStyle(document.querySelector('dl') || document.documentElement).display,
  })));
  await page.screenshot({ path: picture });
  const link = await page.$('a[href*="/rendered"]');
  if (link) {
    await Promise.all([page.waitForURL(await link.getAttribute('href')), link.click()]);
    seen.followed = await page.evaluate(() => [document.contentType, document.images[0].naturalWidth]);
  }
  await browser.close();
  console.log(JSON.stringify(seen));
})();
