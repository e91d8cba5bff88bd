// Chromium without a window; WebGL is painted by the processor, so that a box without a graphics card sees it too.
module.exports = (playwright, executablePath) =>
  require(playwright).chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'],
  });
