#!/usr/bin/python3
"""The few CRI calls that the tests make, in protobuf's own terms. Runs under Debian's Python, which has python3-grpcio.

    cri.py SOCKET pull|rmi REFERENCE
"""
import sys

import grpc


def field(number, content):
    """A length-delimited field; texts and bytes of less than 128 bytes only, which is what there is here."""
    content = content.encode() if isinstance(content, str) else content
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


METHODS = {"pull": "PullImage", "rmi": "RemoveImage"}  # both take ImageSpec{string image = 1} as field 1
address, verb, reference = sys.argv[1:]
with grpc.insecure_channel(f"unix://{address}") as channel:
    call = channel.unary_unary(f"/runtime.v1.ImageService/{METHODS[verb]}", request_serializer=lambda b: b, response_deserializer=lambda b: b)
    try:
        print(call(field(1, field(1, reference)), timeout=120, wait_for_ready=True))
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
