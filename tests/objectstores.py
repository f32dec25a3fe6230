"""A real S3 server in this process, which can be made to fail, and which counts what is asked of it."""

import threading
import time
from collections import Counter
from contextlib import contextmanager

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "films"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "hushhush-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
}


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_):
        pass


class S3Server:
    """moto behind werkzeug's server."""

    def __init__(self):
        self.fault = None
        """Seconds after which each request is answered by 500, or None."""
        self.asked = Counter()
        """Requests answered, by method."""
        self.sent, self.given = 0, 0
        """Bytes of bodies that came in and went out."""
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        self.client.create_bucket(Bucket=BUCKET)

    def _answer(self, environ, start_response):
        if self.fault is not None:
            time.sleep(self.fault)
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("500 Internal Server Error", [("Content-Length", "0")])
            return [b""]
        self.asked[environ["REQUEST_METHOD"]] += 1
        self.sent += int(environ.get("CONTENT_LENGTH") or 0)
        body = b"".join(self._moto(environ, start_response))
        self.given += len(body)
        return [body]

    @contextmanager
    def counted(self):
        """What is asked inside, by method."""
        found, before = Counter(), Counter(self.asked)
        yield found
        found.update(self.asked - before)

    def names(self, prefix=""):
        """Names of all objects under a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))

    def get(self, name):
        return self.client.get_object(Bucket=BUCKET, Key=name)["Body"].read()

    def put(self, name, data):
        self.client.put_object(Bucket=BUCKET, Key=name, Body=data)

    def delete(self, name):
        self.client.delete_object(Bucket=BUCKET, Key=name)

    def stop(self):
        self.client.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def s3_server():
    server = S3Server()
    try:
        yield server
    finally:
        server.stop()
