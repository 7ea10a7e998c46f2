#include "guest/agent/service_methods.h"

void service_stats_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    Agent__StatsContainerResponse answer = AGENT__STATS_CONTAINER_RESPONSE__INIT;
    struct container             *c      = service_find(owner, ((const Agent__StatsContainerRequest *) request)->id, pending);
    struct cgroup_stats           stats;
    struct err                    err;

    if (!c)
        return;
    if (!container_stats(c, &stats, &err)) {
        service_refuse(pending, "start", &err);
        return;
    }
    answer.memory_bytes               = stats.memory_bytes;
    answer.memory_inactive_file_bytes = stats.memory_inactive_file_bytes;
    answer.memory_limit_bytes         = stats.memory_limit_bytes;
    answer.cpu_usage_us               = stats.cpu_usage_us;
    answer.cpu_user_us                = stats.cpu_user_us;
    answer.cpu_system_us              = stats.cpu_system_us;
    answer.processes                  = stats.processes;
    answer.processes_limit            = stats.processes_limit;
    ttrpc_answer(pending, &answer.base);
}

void service_update_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__UpdateContainerRequest *asked  = (const Agent__UpdateContainerRequest *) request;
    Agent__UpdateContainerResponse       answer = AGENT__UPDATE_CONTAINER_RESPONSE__INIT;
    struct container                    *c      = service_find(owner, asked->id, pending);
    struct cgroup_limits                 limits = service_limits_of(asked->limits);
    struct err                           err;

    if (!c)
        return;
    if (!c->grant.update)
        (void) fail_with(&err, ERR_DENIED, "policy allows no change of this container's limits"); /* false by contract */
    else if (container_update(c, &limits, &err)) {
        ttrpc_answer(pending, &answer.base);
        return;
    }
    service_refuse(pending, "start", &err);
}
