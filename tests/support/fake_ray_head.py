"""A fake Ray head for the tests of the preflight: it answers which nodes there are."""

from concurrent import futures
from contextlib import contextmanager
from importlib.metadata import version

import grpc
from ray.core.generated import gcs_pb2, gcs_service_pb2, gcs_service_pb2_grpc

RAY_VERSION = version("ray")


class FakeHead(gcs_service_pb2_grpc.NodeInfoGcsServiceServicer):
    """Answers as Ray's own service does, with nodes and a version that the test chooses."""

    def __init__(self, machines, token, ray_version):
        self.machines, self.token, self.ray_version = machines, token, ray_version

    def _admit(self, context):
        shown = dict(context.invocation_metadata()).get("authorization")
        if self.token and shown != f"Bearer {self.token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")

    def GetAllNodeInfo(self, _, context):
        self._admit(context)
        dead = gcs_pb2.GcsNodeInfo(node_manager_address="10.9.9.9", state=1)
        alive = [gcs_pb2.GcsNodeInfo(node_manager_address=each) for each in self.machines]
        return gcs_service_pb2.GetAllNodeInfoReply(node_info_list=[dead, *alive])

    def CheckAlive(self, _, context):
        self._admit(context)
        return gcs_service_pb2.CheckAliveReply(ray_version=self.ray_version)


@contextmanager
def head_starter():
    """Yield a function that starts a head and returns its address; all end with the context."""
    servers = []

    def start(machines=("127.0.0.1",), token="", ray_version=RAY_VERSION):
        server = grpc.server(futures.ThreadPoolExecutor(2))
        servicer = FakeHead(machines, token, ray_version)
        gcs_service_pb2_grpc.add_NodeInfoGcsServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    try:
        yield start
    finally:
        for server in servers:
            server.stop(None)
