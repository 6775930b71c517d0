"""S3 servers and places to publish to, looked at without neuropress."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import rgw
from botocore.config import Config

SECRET = "planted/secret+key%0123456789"


@dataclass
class Server:
    """An S3 server on the loopback; moto's `log` holds one line for every request."""

    endpoint: str
    log: Path = Path(os.devnull)

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=rgw.ACCESS_KEY,
            aws_secret_access_key=SECRET,
            config=Config(proxies={}),
        )

    def requests(self) -> list[str]:
        """``METHOD /path`` of every request so far."""
        lines = self.log.read_text("utf-8", errors="replace").splitlines()
        return [line.split('"')[1].rsplit(" ", 1)[0] for line in lines if '" ' in line and "HTTP/1" in line]


class Target:
    """Where a test publishes, looked at without neuropress."""

    def __init__(self, url: str, server: Server | None) -> None:
        self.url = url
        self.server = server

    @property
    def endpoint(self) -> str | None:
        return self.server.endpoint if self.server else None

    def objects(self) -> dict[str, bytes]:
        """Key -> bytes of everything below the URL."""
        if self.server is None:
            root = Path(self.url)
            return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        client, (bucket, prefix) = self.server.client(), self._place()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return {
            key.removeprefix(prefix): client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in sorted(keys)
        }

    def data(self) -> dict[str, bytes]:
        """Everything but what lies under ``releases/``."""
        return {k: v for k, v in self.objects().items() if not k.startswith("releases/")}

    def overwrite(self, key: str, data: bytes | None) -> None:
        """Replace or delete an object behind the back of neuropress."""
        if self.server is None:
            path = Path(self.url, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if data is None else path.write_bytes(data)
        else:
            bucket, prefix = self._place()
            client = self.server.client()
            if data is None:
                client.delete_object(Bucket=bucket, Key=prefix + key)
            else:
                client.put_object(Bucket=bucket, Key=prefix + key, Body=data)

    def remove(self, client: Any) -> None:
        """Delete everything in the bucket, uploads that were cut off too: the servers keep all of it in memory."""
        bucket, _ = self._place()
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for upload in page.get("Uploads", []):
                client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", []):
                client.delete_object(Bucket=bucket, Key=item["Key"])

    def _place(self) -> tuple[str, str]:
        bucket, prefix = self.url.removeprefix("s3://").split("/", 1)
        return bucket, f"{prefix}/"


def make_bucket(server: Server, name: str) -> Target:
    """An empty bucket, named by the digest of a text."""
    bucket = f"b{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    server.client().create_bucket(Bucket=bucket)
    return Target(f"s3://{bucket}/some prefix/ds", server)
