// dicom-microscopy-viewer, the viewer below Slim: a tiled whole-slide pyramid, tiles by frame.
import { api } from 'dicomweb-client';
import { levelsOf, parameters, report, until } from './report.js';

report(async found => {
  const { service, study, series } = parameters;
  const client = new api.DICOMwebClient({ url: service });
  const items = await client.retrieveSeriesMetadata({ studyInstanceUID: study, seriesInstanceUID: series });
  const { VLWholeSlideMicroscopyImage } = window.dicomMicroscopyViewer.metadata;
  const metadata = items.map(item => new VLWholeSlideMicroscopyImage({ metadata: item }));
  found.levels = metadata.length;
  const viewer = new window.dicomMicroscopyViewer.viewer.VolumeImageViewer({
    client, metadata, controls: [], errorInterceptor: error => (found.error = String(error.message || error)),
  });
  viewer.render({ container: document.getElementById('view') });
  const canvases = () => [...document.querySelectorAll('#view canvas')];
  const most = () => Math.max(0, ...canvases().map(canvas => levelsOf(canvas).levels));
  await until(() => most() > 50, 60);
  found.painted = most();
});
