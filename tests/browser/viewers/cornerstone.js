// Cornerstone3D: a stack viewport per instance by WADO-RS, with the metadata as the archive gives it.
import { RenderingEngine, Enums, eventTarget, init as initCore, cache } from '@cornerstonejs/core';
import { init as initLoader, wadors } from '@cornerstonejs/dicom-image-loader';
import { levelsOf, parameters, report, until } from './report.js';

const describe = error => String(error?.stack || error?.message || error?.error?.message || JSON.stringify(error));

// The loader wants palettes as numbers; the applications around it, OHIF for one, read them from the binary value.
function withNumbers(palette) {
  if (!palette?.InlineBinary) return;
  const bytes = Uint8Array.from(atob(palette.InlineBinary), letter => letter.charCodeAt(0));
  palette.Value = [...new Uint16Array(bytes.buffer)];
}

report(async found => {
  const { service } = parameters;
  const instances = parameters.instances.split(','); // study/series/instance
  await initCore();
  await initLoader({ maxWebWorkers: 1 });
  const element = document.getElementById('view');
  const engine = new RenderingEngine('engine');
  engine.enableElement({ viewportId: 'stack', type: Enums.ViewportType.STACK, element });
  const viewport = engine.getViewport('stack');
  found.painted = {};
  for (const path of instances) {
    const [study, series, instance] = path.split('/');
    const url = `${service}/studies/${study}/series/${series}/instances/${instance}`;
    const [item] = await (await fetch(`${url}/metadata`, { headers: { Accept: 'application/dicom+json' } })).json();
    const imageId = `wadors:${url}/frames/1`;
    for (const tag of ['00281201', '00281202', '00281203']) withNumbers(item[tag]);
    wadors.metaDataManager.add(imageId, item);
    let failure = null;
    let isRendered = false;
    element.addEventListener(Enums.Events.IMAGE_RENDERED, () => (isRendered = true), { once: true });
    eventTarget.addEventListener(Enums.Events.IMAGE_LOAD_ERROR, event => (failure = describe(event.detail?.error)), { once: true });
    viewport.setStack([imageId]).then(() => viewport.render(), error => (failure = describe(error)));
    if (!(await until(() => isRendered || failure, 12))) failure = 'nothing was rendered';
    const canvas = element.querySelector('canvas');
    found.painted[instance] = { ...levelsOf(canvas), failure, picture: canvas.toDataURL('image/png') };
    cache.purgeCache();
  }
});
