#include "guest/api/sysctl.h"

#include <string.h>

/* As Kubernetes' list of what has a namespace, and kernel.sem. [Kubernetes component-helpers node/util/sysctl] */
static const char *const prefixes[] = { "net.", "kernel.shm", "kernel.msg", "fs.mqueue." };
/* Of the whole kernel, whatever their names say. */
static const char *const foreign[] = { "net.core.bpf_" };

static const struct sysctl usual[] = {
    { "net.ipv4.ip_unprivileged_port_start", "0" }, /* containerd: enable_unprivileged_ports */
    { "net.ipv4.ping_group_range", "0 2147483647" }, /* containerd: enable_unprivileged_icmp */
    { "net.ipv4.ping_group_range", "0 0" },          /* CRI-O's and podman's default_sysctls */
};

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* No component is empty or begins or ends with what becomes a dot. */
static bool is_name(const char *name)
{
    for (const char *at = name; *at; at++)
        if (!is_letter(*at) && ((*at != '.' && *at != '/') || at == name || !is_letter(at[-1]) || !is_letter(at[1])))
            return false;
    return *name != 0;
}

static bool is_of_a_pod(const char *name)
{
    bool is_known = strcmp(name, "kernel.sem") == 0;

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        is_known |= begins(name, prefixes[i]);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        is_known &= !begins(name, foreign[i]);
    return is_known;
}

FALLIBLE sysctl_check(const struct sysctl *sysctl, struct err *err)
{
    if (strlen(sysctl->name) > SYSCTL_NAME_MAX)
        return fail_with(err, ERR_LIMIT, "sysctl: a name over %d characters", SYSCTL_NAME_MAX);
    if (!is_name(sysctl->name))
        return fail_with(err, ERR_MALFORMED, "sysctl %.80s: wanted names of a-z, 0-9, _ and - with dots between them", sysctl->name);
    if (!is_of_a_pod(sysctl->name))
        return fail_with(err, ERR_UNSUPPORTED, "sysctl %.80s: it is the whole kernel's; a pod has net.*, kernel.shm*, kernel.msg*, kernel.sem and fs.mqueue.*",
                         sysctl->name);
    if (*sysctl->value == 0 || strlen(sysctl->value) > SYSCTL_VALUE_MAX)
        return fail_with(err, ERR_LIMIT, "sysctl %.80s: wanted a value of 1 to %d bytes", sysctl->name, SYSCTL_VALUE_MAX);
    for (const char *at = sysctl->value; *at; at++)
        if (*at != '\t' && (*at < ' ' || *at > '~'))
            return fail_with(err, ERR_MALFORMED, "sysctl %.80s: its value is not of printable characters", sysctl->name);
    return true;
}

bool sysctl_is_of_network(const struct sysctl *sysctl)
{
    return begins(sysctl->name, "net.");
}

bool sysctl_is_usual(const struct sysctl *sysctl)
{
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (strcmp(sysctl->name, usual[i].name) == 0 && strcmp(sysctl->value, usual[i].value) == 0)
            return true;
    return false;
}

void sysctl_path(const char *name, char out[static SYSCTL_NAME_MAX + 1])
{
    size_t i;

    for (i = 0; name[i] && i < SYSCTL_NAME_MAX; i++)
        out[i] = name[i] == '.' ? '/' : name[i] == '/' ? '.' : name[i];
    out[i] = 0;
}
