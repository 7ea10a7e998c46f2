#include "runtime/shim/container_rights.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/shim/spec_members.h"

/* What containerd, CRI-O, podman and docker give without being asked. Of these a guest's container may have fewer. */
static const char *const usual[] = {
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
};

void container_rights_free(struct container_rights *rights)
{
    free(rights->masked);
    free(rights->readonly);
    *rights = (struct container_rights){ 0 };
}

/* ---- capabilities ---- */

static bool is_usual(const char *capability)
{
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (strcmp(usual[i], capability) == 0)
            return true;
    return false;
}

struct excess {
    const char *first; /* NULL: none */
    bool        has_admin;
};

static FALLIBLE find_excess(struct json_object *capabilities, const char *set, struct excess *out, struct err *err)
{
    char **texts = NULL;
    size_t n     = 0;
    bool   is_good = spec_texts(capabilities, set, &texts, &n, err);

    for (size_t i = 0; is_good && i < n; i++) {
        if (!out->first && !is_usual(texts[i]))
            out->first = texts[i];
        out->has_admin |= strcmp(texts[i], "CAP_SYS_ADMIN") == 0;
    }
    free(texts);
    return is_good || contextf(err, "process: capabilities");
}

FALLIBLE container_rights_check(struct json_object *process, bool is_masked, struct err *err)
{
    static const char *const sets[] = { "bounding", "effective", "permitted", "inheritable", "ambient" };
    struct json_object      *capabilities;
    struct excess            excess = { NULL, false };

    if (!spec_member(process, "capabilities", json_type_object, &capabilities, err))
        return context(err, "process");
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (!find_excess(capabilities, sets[i], &excess, err))
            return false;
    if (excess.has_admin && !is_masked)
        return fail_with(err, ERR_UNSUPPORTED, "privileged: a guest runs no privileged containers; take `privileged` out of what the container asks for");
    return !excess.first || fail_with(err, ERR_UNSUPPORTED, "capabilities: %.40s: no container of a guest has it; take it out of what is added", excess.first);
}

/* ---- kernel settings ---- */

static FALLIBLE read_sysctls(struct json_object *os, struct container_rights *out, struct err *err)
{
    struct json_object *list;

    if (!spec_member(os, "sysctl", json_type_object, &list, err))
        return false;
    if (!list)
        return true;
    json_object_object_foreach(list, name, value) {
        struct sysctl found = { name, json_object_get_string(value) };

        if (!json_object_is_type(value, json_type_string))
            return fail_with(err, ERR_MALFORMED, "sysctl %.80s: not a string", name);
        if (out->n_sysctls == SYSCTLS_MAX)
            return fail_with(err, ERR_LIMIT, "sysctl: over %d entries", SYSCTLS_MAX);
        if (!sysctl_check(&found, err))
            return false;
        out->sysctls[out->n_sysctls++] = found;
    }
    return true;
}

FALLIBLE kept_sysctls_add(struct kept_sysctls *kept, const struct sysctl *sysctl, struct err *err)
{
    if (!sysctl_check(sysctl, err))
        return false;
    if (kept->n == SYSCTLS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d sysctls", SYSCTLS_MAX);
    if (!(kept->names[kept->n] = strdup(sysctl->name)) || !(kept->values[kept->n] = strdup(sysctl->value)))
        abort();
    kept->n++;
    return true;
}

void kept_sysctls_free(struct kept_sysctls *kept)
{
    for (size_t i = 0; i < kept->n; i++) {
        free(kept->names[i]);
        free(kept->values[i]);
    }
    kept->n = 0;
}

/* ---- the whole ---- */

FALLIBLE container_rights_read(struct json_object *process, struct json_object *os, bool is_run, struct container_rights *out, struct err *err)
{
    if (!spec_texts(os, "maskedPaths", &out->masked, &out->n_masked, err) || !spec_texts(os, "readonlyPaths", &out->readonly, &out->n_readonly, err) ||
        !read_sysctls(os, out, err))
        return context(err, "linux");
    return !is_run || container_rights_check(process, out->n_masked > 0, err);
}

static void ask_for(const char *name, const char *value, struct rights_room *room, Agent__CreateContainerRequest *request)
{
    Agent__Sysctl *row = &room->rows[request->n_sysctls];

    for (size_t i = 0; i < request->n_sysctls; i++)
        if (strcmp(room->rows[i].name, name) == 0)
            return;
    agent__sysctl__init(row);
    row->name  = (char *) (uintptr_t) name; /* to the wire only, as the next */
    row->value = (char *) (uintptr_t) value;
    room->at[request->n_sysctls++] = row;
}

void container_rights_ask(const struct container_rights *rights, const struct kept_sysctls *pod, struct rights_room *room,
                          Agent__CreateContainerRequest *request)
{
    request->masked_paths     = rights->masked;
    request->n_masked_paths   = rights->n_masked;
    request->readonly_paths   = rights->readonly;
    request->n_readonly_paths = rights->n_readonly;
    request->sysctls          = room->at;
    for (size_t i = 0; i < rights->n_sysctls; i++)
        ask_for(rights->sysctls[i].name, rights->sysctls[i].value, room, request);
    for (size_t i = 0; pod && i < pod->n; i++)
        ask_for(pod->names[i], pod->values[i], room, request);
}
