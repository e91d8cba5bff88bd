"""The HTTP door: DICOMweb (PS3.18) over FastAPI. The only importer of FastAPI, Starlette and uvicorn."""
