"""Objects in an S3 bucket: MinIO, AWS and the others. The only importer of minio."""

from storage.objects.s3.probe import Capabilities
from storage.objects.s3.store import S3Store
from storage.objects.s3.wire import S3Settings

__all__ = ["Capabilities", "S3Settings", "S3Store"]
