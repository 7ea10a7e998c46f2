#include "runtime/shim/sandbox_api.h"

#include <string.h>

#define NODE_RESOLV_CONF "/etc/resolv.conf"

enum { NAMESPACE_OF_NODE = 2 }; /* [cri-api v1 NamespaceMode] */

static void answer_empty(struct ttrpc_pending pending)
{
    Engine__Empty empty = ENGINE__EMPTY__INIT;

    ttrpc_answer(pending, &empty.base);
}

static Engine__Timestamp time_of(const struct timespec *at)
{
    Engine__Timestamp out = ENGINE__TIMESTAMP__INIT;

    out.seconds = at->tv_sec;
    out.nanos   = (int32_t) at->tv_nsec;
    return out;
}

/* The same annotations as in a config.json, from the request or from the pod's configuration in it. */
static const char *annotation(const Engine__CreateSandboxRequest *asked, const Engine__PodConfig *pod, const char *name)
{
    for (size_t i = 0; i < asked->n_annotations; i++)
        if (strcmp(asked->annotations[i]->key, name) == 0)
            return asked->annotations[i]->value;
    for (size_t i = 0; pod && i < pod->n_annotations; i++)
        if (strcmp(pod->annotations[i]->key, name) == 0)
            return pod->annotations[i]->value;
    return NULL;
}

static struct spec_limits limits_of(const Engine__PodConfig *pod)
{
    const Engine__PodResources *r = pod && pod->linux_config ? pod->linux_config->resources : NULL;
    struct spec_limits          out = { 0 };

    if (!r)
        return out;
    out.memory_bytes = r->memory_limit_in_bytes > 0 ? (uint64_t) r->memory_limit_in_bytes : 0;
    if (r->cpu_quota > 0 && r->cpu_period > 0) {
        out.cpu_quota_us  = (uint64_t) r->cpu_quota;
        out.cpu_period_us = (uint64_t) r->cpu_period;
    }
    return out;
}

/* As container_spec_read does for a config.json. */
static FALLIBLE check_processes(const Engine__PodConfig *pod, struct err *err)
{
    const Engine__PodSecurity *security = pod && pod->linux_config ? pod->linux_config->security_context : NULL;

    if (!security || !security->namespace_options || security->namespace_options->pid != NAMESPACE_OF_NODE)
        return true;
    return fail_with(err, ERR_UNSUPPORTED, "pod configuration: hostPID: a guest does not see the host's processes");
}

/* As those of a config.json. */
static FALLIBLE read_sysctls(const Engine__PodConfig *pod, struct kept_sysctls *out, struct err *err)
{
    const Engine__PodLinux *os = pod ? pod->linux_config : NULL;

    for (size_t i = 0; os && i < os->n_sysctls; i++)
        if (!kept_sysctls_add(out, &(struct sysctl){ os->sysctls[i]->key, os->sysctls[i]->value }, err))
            return context(err, "pod configuration");
    return true;
}

static FALLIBLE create(struct pod *pod, const Engine__CreateSandboxRequest *asked, struct err *err)
{
    AUTO(message) ProtobufCMessage *message = NULL;
    const Engine__PodConfig        *config  = NULL;
    struct image_note               note    = { 0 };

    if (pod->is_sandbox || pod->n_tasks > 0)
        return fail_with(err, ERR_CONFIG, "the pod exists");
    if (asked->options && asked->options->value.len > 0) {
        if (!message_read(&engine__pod_config__descriptor,
                          (struct bytes){ asked->options->value.data, asked->options->value.len }, MESSAGE_LOOSE,
                          &message, err))
            return context(err, "pod configuration");
        config = (const Engine__PodConfig *) message;
    }
    if (!check_processes(config, err))
        return false;
    if (!*asked->netns_path)
        return pod_refuse_host_network(err);
    if (*asked->bundle_path == '/' && !image_note_load(asked->bundle_path, &note, err))
        return false;
    const char *ours = annotation(asked, config, "io.cloister.initdata");
    const char *kata = annotation(asked, config, "io.katacontainers.config.hypervisor.cc_init_data");
    if (ours && kata)
        return fail_with(err, ERR_CONFIG, "annotations: initdata twice");
    struct pod_boot boot = { .initdata = ours ? ours : kata, .hostname = config ? config->hostname : "",
                             .network = asked->netns_path,
                             .blobs = *note.blobs ? note.blobs : NULL, .limits = limits_of(config) };
    char cgroup[POD_CGROUP_PATH_MAX] = "";
    if (config && config->linux_config && !pod_cgroup_path_below(config->linux_config->cgroup_parent, asked->sandbox_id, cgroup, err))
        return context(err, "pod configuration");
    boot.cgroup = cgroup;
    AUTO(pod_files) struct pod_files files = { 0 };
    AUTO(kept_sysctls) struct kept_sysctls sysctls = { .n = 0 };
    if (!read_sysctls(config, &sysctls, err) || (config && !pod_files_make(config, NODE_RESOLV_CONF, &files, err)) || !pod_start_vm(pod, &boot, err))
        return false;
    pod->files      = TAKE(files);
    pod->sysctls    = TAKE(sysctls);
    pod->is_sandbox = true;
    return true;
}

void sandbox_api_create(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct err err;

    if (create(owner, (const Engine__CreateSandboxRequest *) request, &err))
        answer_empty(pending);
    else
        ttrpc_refuse(pending, &err);
}

static void tell_started(struct pod *pod, struct ttrpc_pending pending)
{
    Engine__StartSandboxResponse answer = ENGINE__START_SANDBOX_RESPONSE__INIT;
    Engine__Timestamp            at     = time_of(&pod->started_at);

    answer.pid        = (uint32_t) getpid();
    answer.created_at = &at;
    ttrpc_answer(pending, &answer.base);
}

static void on_ready(struct pod *pod, const struct err *why)
{
    struct ttrpc_pending asker = TAKE(pod->starter);
    struct err           shown;

    if (!why) {
        tell_started(pod, asker);
        return;
    }
    (void) fail_with(&shown, ERR_OS, "%s", why->text[0] ? why->text : "start: the pod was ended"); /* false is what it returns */
    ttrpc_refuse(asker, &shown);
}

void sandbox_api_start(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct pod *pod = owner;
    struct err  err;

    (void) request;
    if (pod->is_sandbox && pod->state == POD_READY) {
        tell_started(pod, pending);
    } else if (pod->is_sandbox && pod->state == POD_BOOTING && !ttrpc_is_pending(pod->starter)) {
        pod->starter  = pending;
        pod->on_ready = on_ready;
    } else {
        (void) fail_with(&err, ERR_CONFIG, "start: the pod has no VM%s%.180s", pod->end.text[0] ? ": " : "", pod->end.text); /* false */
        ttrpc_refuse(pending, &err);
    }
}

void sandbox_api_platform(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    char                     os[] = "linux", architecture[] = "amd64";
    Engine__PlatformName     name   = ENGINE__PLATFORM_NAME__INIT;
    Engine__PlatformResponse answer = ENGINE__PLATFORM_RESPONSE__INIT;

    (void) owner;
    (void) request;
    name.os           = os;
    name.architecture = architecture;
    answer.platform   = &name;
    ttrpc_answer(pending, &answer.base);
}

static void tell_end(const struct pod *pod, struct ttrpc_pending pending)
{
    Engine__WaitResponse answer = ENGINE__WAIT_RESPONSE__INIT;
    Engine__Timestamp    at     = time_of(&pod->ended_at);

    answer.exit_status = pod->end_status;
    answer.exited_at   = &at;
    ttrpc_answer(pending, &answer.base);
}

static void on_ended(struct pod *pod)
{
    for (size_t i = 0; i < pod->n_waiters; i++)
        tell_end(pod, pod->waiters[i]);
    pod->n_waiters = 0;
    if (ttrpc_is_pending(pod->stopper))
        answer_empty(TAKE(pod->stopper));
}

/* Answered when the VM is gone. */
void sandbox_api_stop(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct pod *pod  = owner;

    (void) request;
    if (pod->state == POD_NEW || !pod->machine || ttrpc_is_pending(pod->stopper)) {
        answer_empty(pending);
        return;
    }
    pod->stopper  = pending;
    pod->on_ended = on_ended;
    pod_close_vm(pod, 0);
}

void sandbox_api_wait(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct pod *pod = owner;
    struct err  err;

    (void) request;
    if (pod->state == POD_ENDED && !pod->machine) {
        tell_end(pod, pending);
    } else if (pod->n_waiters == SHIM_WAITERS_MAX) {
        (void) fail_with(&err, ERR_LIMIT, "over %d wait for the pod", SHIM_WAITERS_MAX); /* false is what it returns */
        ttrpc_refuse(pending, &err);
    } else {
        pod->waiters[pod->n_waiters++] = pending;
        pod->on_ended                  = on_ended;
    }
}

void sandbox_api_status(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct pod                   *pod    = owner;
    Engine__SandboxStatusResponse answer = ENGINE__SANDBOX_STATUS_RESPONSE__INIT;
    Engine__Timestamp             created = time_of(&pod->started_at), exited = time_of(&pod->ended_at);
    char                          ready[] = "SANDBOX_READY", not_ready[] = "SANDBOX_NOTREADY";

    answer.sandbox_id = ((const Engine__SandboxStatusRequest *) request)->sandbox_id;
    answer.pid        = (uint32_t) getpid();
    answer.state      = pod->state == POD_READY ? ready : not_ready;
    answer.created_at = &created;
    answer.exited_at  = &exited;
    ttrpc_answer(pending, &answer.base);
}

void sandbox_api_ping(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    (void) owner;
    (void) request;
    answer_empty(pending);
}

void sandbox_api_shutdown(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct pod *pod = owner;

    (void) request;
    answer_empty(pending);
    pod->is_sandbox = false;
    pod->options.finished(pod->options.owner);
}
