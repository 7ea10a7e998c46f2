#include "guest/api/services.h"

const struct ttrpc_service agent_service  = { "cloister.agent.v1.Agent", &agent__agent__descriptor, MESSAGE_EXACT };
const struct ttrpc_service blobs_service  = { "cloister.blobs.v1.Blobs", &blobs__blobs__descriptor, MESSAGE_EXACT };
const struct ttrpc_service tunnel_service = { "cloister.tunnel.v1.Tunnel", &tunnel__tunnel__descriptor, MESSAGE_EXACT };
const struct ttrpc_service report_service = { "cloister.report.v1.Report", &report__report__descriptor, MESSAGE_EXACT };

const ProtobufCMethodDescriptor *service_method(const struct ttrpc_service *service, const char *name)
{
    return protobuf_c_service_descriptor_get_method_by_name(service->contract, name);
}
