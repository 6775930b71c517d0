"""What opens bytes: folders of this machine and prefixes of S3 buckets.

=================  ===================================================================
module             what it holds
=================  ===================================================================
:mod:`.roots`      `Folder`, `Bucket`, `open_root`: places of raw files, which are never written
:mod:`.objects`    an object of a bucket as a seekable file, read in pieces
:mod:`.content`    `LocalFile`, `RawObject`, `GeneratedBytes`: bytes that can be sent
:mod:`.remote`     `BucketPath`, a folder of results in a bucket, looked at as a local one is
:mod:`.files`      whether a local file is there, where its links lead, its digest
:mod:`.store`      `open_store`, `Store`: the one client of buckets, and of folders that hold releases
:mod:`.aws`        endpoint, region and credentials by the usual AWS chain
:mod:`.failures`   what a store's errors mean, and which of them are worth asking again for
:mod:`.folder`     what a URL means, and what may lie in a folder that holds releases
:mod:`.parallel`   many small requests at once
=================  ===================================================================
"""
