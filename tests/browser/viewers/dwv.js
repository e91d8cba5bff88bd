// dwv, by WADO-URI and by WADO-RS: the same image on the screen.
import { App, AppOptions, ViewConfig } from 'dwv';
import { levelsOf, parameters, report, until } from './report.js';

report(async found => {
  const { service, study, series, instance, way } = parameters;
  const uri = `${service}/wado?requestType=WADO&studyUID=${study}&seriesUID=${series}&objectUID=${instance}&contentType=application/dicom`;
  const rs = `${service}/studies/${study}/series/${series}/instances/${instance}`;
  const app = new App();
  app.init(new AppOptions({ '*': [new ViewConfig('view')] }));
  app.addEventListener('error', event => (found.error = String(event.error?.stack || event.error || event)));
  let isLoaded = false;
  app.addEventListener('load', () => (isLoaded = true));
  const requestHeaders = [{ name: 'Accept', value: 'multipart/related; type="application/dicom"; transfer-syntax=*' }];
  app.loadURLs([way === 'uri' ? uri : rs], way === 'uri' ? {} : { requestHeaders });
  const isPainted = () => isLoaded && document.querySelector('#view canvas') && levelsOf(document.querySelector('#view canvas')).levels > 8;
  await until(isPainted, 60);
  const canvas = document.querySelector('#view canvas');
  found.painted = canvas ? levelsOf(canvas) : null;
});
