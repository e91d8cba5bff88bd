// dicomweb-client for JavaScript, as OHIF and Slim use it: search, metadata, frames, instances, bulk data, store.
import { api } from 'dicomweb-client';
import { report, parameters } from './report.js';

report(async found => {
  const { service, study, series, instance } = parameters;
  const client = new api.DICOMwebClient({ url: service, singlepart: '' });
  const studies = await client.searchForStudies({ queryParams: { StudyInstanceUID: study, includefield: '00081030' } });
  found.studies = studies.map(item => item['0020000D'].Value[0]);
  found.none = await client.searchForStudies({ queryParams: { PatientID: 'NOBODY' } });
  found.series = (await client.searchForSeries({ studyInstanceUID: study })).map(item => item['0020000E'].Value[0]);
  const instances = await client.searchForInstances({ studyInstanceUID: study, seriesInstanceUID: series });
  found.instances = instances.length;
  const where = { studyInstanceUID: study, seriesInstanceUID: series };
  const metadata = await client.retrieveSeriesMetadata(where);
  found.rows = metadata.map(item => item['00280010'].Value[0]);
  const one = { ...where, sopInstanceUID: instance };
  const part10 = await client.retrieveInstance(one);
  found.magic = new TextDecoder().decode(new Uint8Array(part10, 128, 4));
  found.seriesParts = (await client.retrieveSeries(where)).length;
  const frames = await client.retrieveInstanceFrames({ ...one, frameNumbers: [1] });
  found.frameBytes = frames.map(frame => frame.byteLength);
  const bulk = metadata[0]['7FE00010'].BulkDataURI;
  found.bulkBytes = (await client.retrieveBulkData({ BulkDataURI: bulk }))[0].byteLength;
  const [rendered] = [await client.retrieveInstanceRendered({ ...one, queryParams: { accept: 'image/png' } })].flat();
  found.rendered = [...new Uint8Array(rendered, 1, 3)].map(code => String.fromCharCode(code)).join('');
  const answer = await client.storeInstances({ datasets: [part10] });
  found.stored = typeof answer === 'string' ? JSON.parse(answer) : answer;
});
