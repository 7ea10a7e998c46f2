#include "runtime/shim/container_spec.h"

#include <string.h>

#include "base/text.h"
#include "guest/api/receipt.h"
#include "runtime/shim/limits.h"
#include "runtime/shim/spec_members.h"

#define RECEIPT_ANNOTATION "io.cloister.receipt"

/* Annotations with an effect: these and no others. [containerd internal/cri/annotations, CRI-O internal/annotations] */
static const char *const role_names[]    = { "io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType" };
static const char *const sandbox_names[] = { "io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID" };
static const char *const image_names[]   = { "io.kubernetes.cri.image-name", "io.kubernetes.cri-o.Image" };
static const char *const other_names[]   = { "io.kubernetes.cri-o.ImageName" };
static const char *const digest_names[]  = { "io.kubernetes.cri-o.ImageRepoDigests" };
static const char *const limits_names[]  = { "pod-linux-resources.crio.io", "io.kubernetes.cri-o.PodLinuxResources" };
static const char *const initdata_names[] = { "io.cloister.initdata",
                                              "io.katacontainers.config.hypervisor.cc_init_data" };

void container_spec_free(struct container_spec *spec)
{
    process_spec_free(&spec->process);
    container_rights_free(&spec->rights);
    free(spec->mounts);
    free(spec->devices);
    json_object_put(spec->document);
    *spec = (struct container_spec){ 0 };
}

static FALLIBLE read_resources(struct json_object *resources, struct spec_limits *out, struct err *err)
{
    struct json_object *memory, *cpu;

    if (!spec_member(resources, "memory", json_type_object, &memory, err) ||
        !spec_member(resources, "cpu", json_type_object, &cpu, err) ||
        !spec_number(memory, "limit", &out->memory_bytes, err) ||
        !spec_number(cpu, "quota", &out->cpu_quota_us, err) ||
        !spec_number(cpu, "period", &out->cpu_period_us, err))
        return context(err, "resources");
    if (out->cpu_quota_us == 0 || out->cpu_period_us == 0)
        out->cpu_quota_us = out->cpu_period_us = 0;
    return true;
}

static FALLIBLE annotation(struct json_object *from, const char *const *names, size_t n, const char **out,
                           struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *value = NULL;

        if (!spec_text(from, names[i], &value, err))
            return context(err, "annotations");
        if (value && *value && !*out)
            *out = value;
    }
    return true;
}
#define ANNOTATION(from, names, out, err) annotation(from, names, sizeof(names) / sizeof *(names), out, err)

static FALLIBLE read_role(struct json_object *annotations, struct container_spec *s, struct err *err)
{
    const char *role = NULL;

    if (!ANNOTATION(annotations, role_names, &role, err) || !ANNOTATION(annotations, sandbox_names, &s->sandbox_id, err))
        return false;
    if (!role) {
        s->sandbox_id = NULL;
        return true;
    }
    if (strcmp(role, "sandbox") != 0 && strcmp(role, "container") != 0)
        return fail_with(err, ERR_MALFORMED, "annotations: container type \"%.20s\"", role);
    if (!s->sandbox_id || strlen(s->sandbox_id) > SHIM_ID_MAX)
        return fail_with(err, ERR_MALFORMED, "annotations: a pod's container without its sandbox's id");
    s->role = strcmp(role, "sandbox") == 0 ? ROLE_SANDBOX : ROLE_CONTAINER;
    return true;
}

/* Decimal text, as containerd writes its numbers; "0" and "-1": none. */
static FALLIBLE number_annotation(struct json_object *from, const char *name, uint64_t *out, struct err *err)
{
    const char *text = NULL;
    char       *end;

    if (!spec_text(from, name, &text, err))
        return context(err, "annotations");
    if (!text)
        return true;
    long long n = strtoll(text, &end, 10);
    if (end == text || *end || strlen(text) > 20)
        return fail_with(err, ERR_MALFORMED, "annotations: %s: no number", name);
    *out = n > 0 ? (uint64_t) n : 0;
    return true;
}

/*
 * CRI-O's Image is what was asked for: a name, or the image's id, which is the digest of a configuration and names nothing
 * in a registry. Its ImageName is some name of the same image, often with the manifest's digest.
 */
static FALLIBLE read_image(struct json_object *from, struct container_spec *s, struct err *err)
{
    const char *other = NULL;

    if (!ANNOTATION(from, image_names, &s->image_name, err) || !ANNOTATION(from, other_names, &other, err) ||
        !ANNOTATION(from, digest_names, &s->image_digests, err))
        return false;
    if (!s->image_digests && image_reference_digest(other))
        s->image_digests = other;
    if (!s->image_name || (strlen(s->image_name) == 64 && strspn(s->image_name, "0123456789abcdef") == 64))
        s->image_name = other;
    return true;
}

/* The pod's limits as CRI-O tells them: the JSON text of CRI's LinuxContainerResources, under a newer name or an older. */
static FALLIBLE read_pod_resources(struct json_object *from, struct spec_limits *out, struct err *err)
{
    AUTO(json) struct json_object *resources = NULL;
    const char                    *text      = NULL;

    if (!ANNOTATION(from, limits_names, &text, err))
        return false;
    if (!text || strcmp(text, "null") == 0)
        return true;
    if (!json_read(bytes_of_text(text), SHIM_RESOURCES_MAX, &resources, err))
        return context(err, "annotations: the pod's resources");
    if (!json_object_is_type(resources, json_type_object))
        return fail_with(err, ERR_MALFORMED, "annotations: the pod's resources: not an object");
    if (!spec_number(resources, "memory_limit_in_bytes", &out->memory_bytes, err) ||
        !spec_number(resources, "cpu_quota", &out->cpu_quota_us, err) ||
        !spec_number(resources, "cpu_period", &out->cpu_period_us, err))
        return context(err, "annotations: the pod's resources");
    return true;
}

/* The nonce may be empty: then nobody asked when. */
static FALLIBLE read_receipt(struct json_object *from, struct container_spec *s, struct err *err)
{
    AUTO(buffer) struct buffer nonce = { 0 };

    if (!spec_text(from, RECEIPT_ANNOTATION, &s->receipt, err))
        return context(err, "annotations");
    if (!s->receipt || (hex_read(bytes_of_text(s->receipt), &nonce, err) && nonce.len <= RECEIPT_NONCE_MAX))
        return true;
    return fail_with(err, ERR_MALFORMED, "annotations: " RECEIPT_ANNOTATION ": a nonce of at most %d bytes in hex is wanted", RECEIPT_NONCE_MAX);
}

static FALLIBLE read_annotations(struct json_object *from, struct container_spec *s, struct err *err)
{
    const char *both[2] = { NULL, NULL };

    if (!read_role(from, s, err) || !read_image(from, s, err) || !read_pod_resources(from, &s->pod_limits, err) ||
        !spec_text(from, initdata_names[0], &both[0], err) || !spec_text(from, initdata_names[1], &both[1], err) ||
        !number_annotation(from, "io.kubernetes.cri.sandbox-memory", &s->pod_limits.memory_bytes, err) ||
        !number_annotation(from, "io.kubernetes.cri.sandbox-cpu-quota", &s->pod_limits.cpu_quota_us, err) ||
        !number_annotation(from, "io.kubernetes.cri.sandbox-cpu-period", &s->pod_limits.cpu_period_us, err))
        return false;
    if (both[0] && both[1])
        return fail_with(err, ERR_CONFIG, "annotations: both %s and %s", initdata_names[0], initdata_names[1]);
    if (s->pod_limits.cpu_quota_us == 0 || s->pod_limits.cpu_period_us == 0)
        s->pod_limits.cpu_quota_us = s->pod_limits.cpu_period_us = 0;
    s->initdata = both[0] ? both[0] : both[1];
    return read_receipt(from, s, err);
}

/*
 * containerd and CRI-O write a PID namespace with a path into a container that shares its pod's, one without a path for a
 * container or pod of its own, and none at all for hostPID.
 */
static FALLIBLE judge_processes(struct container_spec *s, bool has_own, const char *path, struct err *err)
{
    if (s->role != ROLE_SINGLE && !has_own)
        return fail_with(err, ERR_UNSUPPORTED, "linux: no PID namespace (hostPID): a guest does not see the host's processes");
    s->share_processes = s->role == ROLE_CONTAINER && path && *path;
    return true;
}

static FALLIBLE read_namespaces(struct json_object *os, struct container_spec *s, struct err *err)
{
    struct json_object *list;
    bool                has_processes = false;
    const char         *processes     = NULL;

    if (!spec_member(os, "namespaces", json_type_array, &list, err) || !spec_text(os, "cgroupsPath", &s->cgroup, err))
        return context(err, "linux");
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *space = json_object_array_get_idx(list, i);
        const char         *type = "", *path = NULL;

        if (!json_object_is_type(space, json_type_object) || !spec_text(space, "type", &type, err) ||
            !spec_text(space, "path", &path, err))
            return fail_with(err, ERR_MALFORMED, "linux: namespaces: entry %zu", i);
        if (strcmp(type, "network") == 0)
            s->network = path;
        if (strcmp(type, "pid") == 0)
            has_processes = true, processes = path;
    }
    return !list || judge_processes(s, has_processes, processes, err);
}

/* The kubelet's ".../containers/NAME/" and eight hex digits. [Kubernetes, kubelet/kuberuntime makeMounts] */
static bool is_termination_log(const char *source, const char *target)
{
    const char *name   = strrchr(source, '/');
    const char *folder = strstr(source, "/containers/");

    if (strcmp(target, "/dev/termination-log") == 0)
        return true;
    return folder && name && name > folder + 12 && memchr(folder + 12, '/', (size_t) (name - folder) - 12) == NULL &&
           strstr(source, "/pods/") && strlen(name) == 9 && strspn(name + 1, "0123456789abcdef") == 8;
}

static bool has_option(struct json_object *mount, const char *option)
{
    struct json_object *list = json_object_object_get(mount, "options");

    for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++) {
        const char *text = json_object_get_string(json_object_array_get_idx(list, i));

        if (text && strcmp(text, option) == 0)
            return true;
    }
    return false;
}

/* Bind mounts that engines add by themselves and a guest has no use for; the rest are volumes, and the files that tell names. */
static bool is_engines_own(const char *source, const char *target)
{
    if (strstr(source, "/io.containerd.grpc.v1.cri/containers/") && strstr(source, "/volumes/")) /* of a VOLUME of the image, which the guest has itself */
        return true;
    if (strcmp(target, "/run/secrets") == 0 && strstr(source, "/userdata/")) /* CRI-O's subscriptions of the node */
        return true;
    return strcmp(target, "/run/.containerenv") == 0 ||
           (strcmp(target, "/dev/shm") == 0 && !strstr(source, "/kubernetes.io~empty-dir/"));
}

static FALLIBLE read_mounts(struct json_object *document, struct container_spec *s, struct err *err)
{
    struct json_object *list;

    if (!spec_member(document, "mounts", json_type_array, &list, err))
        return false;
    size_t len = list ? json_object_array_length(list) : 0;
    if (len > SHIM_MOUNTS_MAX)
        return fail_with(err, ERR_LIMIT, "mounts: over %d entries", SHIM_MOUNTS_MAX);
    s->mounts = calloc(len + 1, sizeof *s->mounts);
    if (!s->mounts)
        abort();
    for (size_t i = 0; i < len; i++) {
        struct json_object *mount = json_object_array_get_idx(list, i);
        const char         *type = "", *target = "", *source = "";

        if (!json_object_is_type(mount, json_type_object) || !spec_text(mount, "type", &type, err) ||
            !spec_text(mount, "destination", &target, err) || !spec_text(mount, "source", &source, err))
            return fail_with(err, ERR_MALFORMED, "mounts: entry %zu", i);
        struct spec_mount found = { source, target, has_option(mount, "ro") };
        if (strcmp(type, "bind") == 0 && is_termination_log(source, target))
            s->termination = found;
        else if (strcmp(type, "bind") == 0 && !is_engines_own(source, target))
            s->mounts[s->n_mounts++] = found;
    }
    return true;
}

/* Whether the cgroup's rules let the container write to it; where they say nothing, it may. */
static FALLIBLE read_access(struct json_object *rules, struct spec_device *device, struct err *err)
{
    for (size_t i = 0; rules && i < json_object_array_length(rules); i++) {
        struct json_object *rule = json_object_array_get_idx(rules, i);
        const char         *type = "", *access = "";
        uint64_t            major = 0, minor = 0;

        if (!json_object_is_type(rule, json_type_object) || !spec_text(rule, "type", &type, err) ||
            !spec_text(rule, "access", &access, err) || !spec_number(rule, "major", &major, err) ||
            !spec_number(rule, "minor", &minor, err))
            return fail_with(err, ERR_MALFORMED, "resources: devices: entry %zu", i);
        if (strcmp(type, "b") == 0 && major == device->major && minor == device->minor && json_has(rule, "minor"))
            device->read_only = !strchr(access, 'w');
    }
    return true;
}

static FALLIBLE read_device(struct json_object *from, struct json_object *rules, struct container_spec *s, struct err *err)
{
    const char *type = "", *path = "";
    uint64_t    major = 0, minor = 0;

    if (!json_object_is_type(from, json_type_object) || !spec_text(from, "type", &type, err) ||
        !spec_text(from, "path", &path, err) || !spec_number(from, "major", &major, err) ||
        !spec_number(from, "minor", &minor, err))
        return false;
    if (strcmp(type, "b") != 0 || *path != '/' || strcmp(path, "/dev") == 0 || strncmp(path, "/dev/", 5) == 0)
        return true;
    struct spec_device found = { path, (unsigned) major, (unsigned) minor, false };
    if (!read_access(rules, &found, err))
        return false;
    s->devices[s->n_devices++] = found;
    return true;
}

static FALLIBLE read_devices(struct json_object *os, struct json_object *resources, struct container_spec *s, struct err *err)
{
    struct json_object *list, *rules;

    if (!spec_member(os, "devices", json_type_array, &list, err) || !spec_member(resources, "devices", json_type_array, &rules, err))
        return context(err, "linux");
    size_t len = list ? json_object_array_length(list) : 0;
    if (len > SHIM_MOUNTS_MAX || (rules && json_object_array_length(rules) > SHIM_MOUNTS_MAX))
        return fail_with(err, ERR_LIMIT, "devices: over %d entries", SHIM_MOUNTS_MAX);
    s->devices = calloc(len + 1, sizeof *s->devices);
    if (!s->devices)
        abort();
    for (size_t i = 0; i < len; i++)
        if (!read_device(json_object_array_get_idx(list, i), rules, s, err))
            return fail_with(err, ERR_MALFORMED, "linux: devices: entry %zu", i);
    return true;
}

static FALLIBLE check_version(struct json_object *document, struct err *err)
{
    const char *version;

    if (!json_get_text(document, "ociVersion", &version, err))
        return false;
    return strncmp(version, "1.", 2) == 0 ||
           fail_with(err, ERR_UNSUPPORTED, "ociVersion %.20s: 1.x is wanted", version);
}

FALLIBLE container_spec_read(struct bytes text, struct container_spec *out, struct err *err)
{
    AUTO(container_spec) struct container_spec s = { .hostname = "" };
    struct json_object                        *annotations, *process, *os, *resources = NULL;

    if (!json_read(text, SHIM_SPEC_MAX, &s.document, err) || !check_version(s.document, err) ||
        !spec_member(s.document, "annotations", json_type_object, &annotations, err) ||
        !spec_member(s.document, "linux", json_type_object, &os, err) ||
        !spec_member(os, "resources", json_type_object, &resources, err) ||
        !json_get(s.document, "process", json_type_object, &process, err) ||
        !spec_text(s.document, "hostname", &s.hostname, err) || !read_annotations(annotations, &s, err) ||
        !process_spec_from(process, &s.process, err) || !read_resources(resources, &s.limits, err) ||
        !read_namespaces(os, &s, err) || !read_mounts(s.document, &s, err) || !read_devices(os, resources, &s, err) ||
        !container_rights_read(process, os, s.role != ROLE_SANDBOX, &s.rights, err))
        return context(err, "config.json");
    *out = TAKE(s);
    return true;
}

FALLIBLE resources_read(struct bytes text, struct spec_limits *out, struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    struct spec_limits             found    = { 0 };

    if (!json_read(text, SHIM_SPEC_MAX, &document, err))
        return context(err, "resources");
    if (!json_object_is_type(document, json_type_object))
        return fail_with(err, ERR_MALFORMED, "resources: not an object");
    if (!read_resources(document, &found, err))
        return false;
    *out = found;
    return true;
}

const char *image_reference_digest(const char *reference)
{
    const char *at = reference ? strstr(reference, "@sha256:") : NULL;

    if (at && strspn(at + 8, "0123456789abcdef") == 64 && (at[72] == 0 || at[72] == ','))
        return at + 1;
    return NULL;
}
