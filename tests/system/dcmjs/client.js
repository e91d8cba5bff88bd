// A DIMSE client as a JavaScript program would write it: echo, find, get, move; one line of JSON at the end.
const { Client, requests, responses, constants } = require('dcmjs-dimse');
const { CEchoRequest, CFindRequest, CGetRequest, CMoveRequest } = requests;

const [port, verb, study, destination] = process.argv.slice(2);
const said = { statuses: [], found: [], stored: [] };
const request = {
  echo: () => new CEchoRequest(),
  find: () => CFindRequest.createStudyFindRequest({ PatientName: 'Zhang*', PatientID: '', StudyInstanceUID: '' }),
  get: () => CGetRequest.createStudyGetRequest(study),
  move: () => CMoveRequest.createStudyMoveRequest(destination, study),
}[verb]();
const client = new Client();
request.on('response', (response) => {
  said.statuses.push(response.getStatus());
  if (verb === 'find' && response.hasDataset()) {
    said.found.push(response.getDataset().getElement('StudyInstanceUID'));
  }
});
client.on('cStoreRequest', (stored, callback) => {
  said.stored.push(stored.getDataset().getElement('SOPInstanceUID'));
  const response = responses.CStoreResponse.fromRequest(stored);
  response.setStatus(constants.Status.Success);
  callback(response);
});
client.on('networkError', (error) => { console.error(error); process.exit(1); });
client.on('associationRejected', (reason) => { console.error(reason); process.exit(1); });
client.on('closed', () => { console.log(JSON.stringify(said)); process.exit(0); });
client.addRequest(request);
client.send('127.0.0.1', Number(port), 'DCMJS', 'BRIDGE');
