#include "runtime/cli/pod_security.h"

#include <errno.h>
#include <string.h>

#include "guest/api/capabilities.h"
#include "guest/api/sysctl.h"

static const char *const capabilities[] = { GUEST_CAPABILITIES };

enum { N_CAPABILITIES = sizeof capabilities / sizeof *capabilities };

static bool is_true(const char *text)
{
    return text && strcmp(text, "true") == 0;
}

/* The container's own, else the pod's. */
static const yaml_node_t *security_node(const struct pod_reading *r, const yaml_node_t *container, const char *key)
{
    const yaml_node_t *own = yaml_member(r, yaml_member(r, container, "securityContext"), key);

    return own ? own : yaml_member(r, r->security, key);
}

/* Kubernetes leaves the prefix out; its users do not always. */
static bool is_capability(const char *name, const char *capability)
{
    return strcmp(name, capability) == 0 || strcmp(name, capability + 4) == 0;
}

/* First all that are dropped go, then those come back that are added, as Kubernetes does it. */
static FALLIBLE add_capabilities(const struct pod_reading *r, const yaml_node_t *own, struct json_object *entry, struct err *err)
{
    const yaml_node_t *node = yaml_member(r, own, "capabilities"), *add = yaml_member(r, node, "add"), *drop = yaml_member(r, node, "drop");
    bool               has[N_CAPABILITIES];
    size_t             n_kept = 0;

    for (size_t c = 0; c < N_CAPABILITIES; c++)
        has[c] = true;
    for (size_t i = 0; i < yaml_count(drop); i++) {
        const char *name = yaml_text(yaml_item(r, drop, i));

        for (size_t c = 0; name && c < N_CAPABILITIES; c++)
            has[c] = has[c] && strcmp(name, "ALL") != 0 && !is_capability(name, capabilities[c]);
    }
    for (size_t i = 0; i < yaml_count(add); i++) {
        const char *name = yaml_text(yaml_item(r, add, i));
        size_t      c    = 0;

        while (c < N_CAPABILITIES && !(name && is_capability(name, capabilities[c])))
            c++;
        if (c == N_CAPABILITIES)
            return fail_with(err, ERR_UNSUPPORTED, "capabilities: %.40s cannot be added: no container of a guest has it", name ? name : "?");
        has[c] = true;
    }
    struct json_object *kept = json_object_new_array();
    for (size_t c = 0; c < N_CAPABILITIES; c++)
        if (has[c] && ++n_kept && json_object_array_add(kept, json_object_new_string(capabilities[c])) != 0)
            abort();
    if (n_kept == N_CAPABILITIES)
        json_object_put(kept);
    else
        json_add(entry, "capabilities", kept);
    return true;
}

static FALLIBLE add_group(struct json_object *groups, const char *key, const char *text, struct err *err)
{
    char              *end   = NULL;
    unsigned long long group = 0;

    errno = 0;
    if (text && *text >= '0' && *text <= '9')
        group = strtoull(text, &end, 10);
    if (!end || *end || errno || group >= UINT32_MAX)
        return fail_with(err, ERR_MALFORMED, "%s: %.40s is no group's number", key, text ? text : "an entry");
    if (json_object_array_add(groups, json_object_new_int64((int64_t) group)) != 0)
        abort();
    return true;
}

/* These are a pod's only. */
static FALLIBLE add_groups(const struct pod_reading *r, struct json_object *entry, struct err *err)
{
    const yaml_node_t  *list   = yaml_member(r, r->security, "supplementalGroups"), *fs = yaml_member(r, r->security, "fsGroup");
    struct json_object *groups = json_object_new_array();

    json_add(entry, "groups", groups);
    for (size_t i = 0; i < yaml_count(list); i++)
        if (!add_group(groups, "supplementalGroups", yaml_text(yaml_item(r, list, i)), err))
            return false;
    if (fs && !add_group(groups, "fsGroup", yaml_text(fs), err))
        return false;
    if (json_object_array_length(groups) == 0)
        json_object_object_del(entry, "groups");
    return true;
}

static FALLIBLE add_user(const struct pod_reading *r, const yaml_node_t *container, struct json_object *entry, struct err *err)
{
    const char                *user  = yaml_text(security_node(r, container, "runAsUser"));
    const char                *group = yaml_text(security_node(r, container, "runAsGroup"));
    AUTO(buffer) struct buffer text  = { 0 };

    if (group && !user)
        return fail_with(err, ERR_UNSUPPORTED, "runAsGroup without runAsUser: give both");
    if (is_true(yaml_text(security_node(r, container, "runAsNonRoot"))))
        json_add(entry, "not_root", json_object_new_boolean(true));
    if (!user)
        return true;
    buffer_printf(&text, "%s%s%s", user, group ? ":" : "", group ? group : "");
    json_add_text(entry, "user", buffer_text(&text));
    return true;
}

/* As the kubelet writes it: with dots, where the manifest has slashes. [Kubernetes component-helpers node/util/sysctl] */
static const char *dotted(const char *name, char out[static SYSCTL_NAME_MAX + 1])
{
    size_t first = strcspn(name, "./");

    if (name[first] != '/' || strlen(name) > SYSCTL_NAME_MAX)
        return name;
    sysctl_path(name, out); /* which swaps the two */
    return out;
}

/* A pod's: all of its containers have them. */
static FALLIBLE add_sysctls(const struct pod_reading *r, struct json_object *entry, struct err *err)
{
    const yaml_node_t  *list    = yaml_member(r, r->security, "sysctls");
    struct json_object *sysctls = json_object_new_object();

    json_add(entry, "sysctls", sysctls);
    for (size_t i = 0; i < yaml_count(list); i++) {
        const char   *name  = yaml_text(yaml_member(r, yaml_item(r, list, i), "name"));
        const char   *value = yaml_text(yaml_member(r, yaml_item(r, list, i), "value"));
        char          room[SYSCTL_NAME_MAX + 1];
        struct sysctl row = { dotted(name ? name : "", room), value ? value : "" };

        if (i == SYSCTLS_MAX)
            return fail_with(err, ERR_LIMIT, "sysctls: over %d", SYSCTLS_MAX);
        if (!sysctl_check(&row, err))
            return false;
        json_add_text(sysctls, row.name, row.value);
    }
    if (yaml_count(list) == 0)
        json_object_object_del(entry, "sysctls");
    return true;
}

FALLIBLE pod_security_add(const struct pod_reading *r, const yaml_node_t *container, struct json_object *entry, struct err *err)
{
    const yaml_node_t *own       = yaml_member(r, container, "securityContext");
    const char        *directory = yaml_text(yaml_member(r, container, "workingDir"));

    if (is_true(yaml_text(yaml_member(r, own, "privileged"))))
        return fail_with(err, ERR_UNSUPPORTED, "privileged: a guest runs no privileged containers");
    if (!add_user(r, container, entry, err) || !add_groups(r, entry, err) || !add_capabilities(r, own, entry, err) ||
        !add_sysctls(r, entry, err))
        return false;
    if (directory && *directory)
        json_add_text(entry, "cwd", directory);
    if (is_true(yaml_text(yaml_member(r, own, "readOnlyRootFilesystem"))))
        json_add(entry, "read_only_root", json_object_new_boolean(true));
    return true;
}

void pod_security_note(const struct pod_reading *r, const yaml_node_t *container, const char *name,
                       void (*tell)(const struct pod_reading *r, const char *name, const char *what, const char *of))
{
    const char        *seccomp = yaml_text(yaml_member(r, security_node(r, container, "seccompProfile"), "type"));
    const char        *groups  = yaml_text(yaml_member(r, r->security, "supplementalGroupsPolicy"));
    const char        *proc    = yaml_text(yaml_member(r, yaml_member(r, container, "securityContext"), "procMount"));
    const char        *more    = yaml_text(yaml_member(r, yaml_member(r, container, "securityContext"), "allowPrivilegeEscalation"));

    if (proc && strcmp(proc, "Default") != 0)
        tell(r, name, "the guest's own paths of /proc stay masked, in spite of procMount:", proc);
    if (seccomp && strcmp(seccomp, "RuntimeDefault") != 0)
        tell(r, name, "a guest has its own seccomp profile in place of", seccomp);
    if (groups && strcmp(groups, "Strict") == 0)
        tell(r, name, "has the groups of its image's user too, in spite of", "supplementalGroupsPolicy: Strict");
    if (is_true(more))
        tell(r, name, "no process gains rights by what it executes, in spite of", "allowPrivilegeEscalation: true");
}
