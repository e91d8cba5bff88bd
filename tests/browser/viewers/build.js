// node build.js <node_modules> <output folder>: one bundle a page, and the decoding worker of Cornerstone3D.
const path = require('node:path');
const [modules, outdir] = process.argv.slice(2);
const esbuild = require(path.join(modules, 'esbuild'));
const pages = ['dicomweb_client', 'dwv', 'cornerstone', 'microscopy'].map(name => path.join(__dirname, `${name}.js`));
const worker = path.join(modules, '@cornerstonejs/dicom-image-loader/dist/esm/decodeImageFrameWorker.js');
esbuild.buildSync({
  entryPoints: [...pages.map(file => ({ in: file, out: path.basename(file, '.js') })), { in: worker, out: 'decodeImageFrameWorker' }],
  outdir, bundle: true, format: 'esm', platform: 'browser', logLevel: 'error', nodePaths: [modules],
  external: ['fs', 'path', 'crypto'], define: { 'process.env.NODE_ENV': '"production"' },
});
