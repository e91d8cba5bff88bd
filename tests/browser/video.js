// node video.js <playwright-core> <chromium> [<url> <screenshot>]: without a URL films a second of H.264 and prints it in
// base64; with one plays it in a page, jumps into its middle, and prints what the player says.
const [playwright, executablePath, url, picture] = process.argv.slice(2);
const launch = require('./launch.js');

const film = async () => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
  const pen = canvas.getContext('2d');
  const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: 'video/mp4;codecs=avc1.42E01E' });
  const chunks = [];
  recorder.ondataavailable = event => chunks.push(event.data);
  const stopped = new Promise(resolve => { recorder.onstop = resolve; });
  recorder.start();
  const began = performance.now();
  await new Promise(resolve => {
    const draw = () => {
      pen.fillStyle = `hsl(${(performance.now() - began) / 4}, 90%, 50%)`;
      pen.fillRect(0, 0, 64, 48);
      if (performance.now() - began < 1500) requestAnimationFrame(draw); else resolve();
    };
    draw();
  });
  recorder.stop();
  await stopped;
  const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
  return btoa(String.fromCharCode(...bytes));
};

const play = async source => {
  const video = Object.assign(document.createElement('video'), { src: source, muted: true, width: 320 });
  document.body.append(video);
  const failed = new Promise((_, reject) => { video.onerror = () => reject(video.error.message); });
  const happens = name => Promise.race([failed, new Promise(resolve => video.addEventListener(name, resolve, { once: true }))]);
  await happens('loadeddata');
  video.currentTime = 0.7;
  await happens('seeked');
  return { width: video.videoWidth, height: video.videoHeight, time: video.currentTime };
};

(async () => {
  const browser = await launch(playwright, executablePath);
  const page = await browser.newPage();
  if (url) {
    const statuses = [];
    page.on('response', answer => statuses.push(answer.status()));
    const seen = await page.evaluate(play, url);
    await page.screenshot({ path: picture });
    console.log(JSON.stringify({ ...seen, statuses }));
  } else {
    console.log(await page.evaluate(film));
  }
  await browser.close();
})();
