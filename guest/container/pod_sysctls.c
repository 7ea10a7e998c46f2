#include "guest/container/pod_sysctls.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"

static struct json_object *list_of(struct json_object *entry)
{
    return json_object_object_get(entry, "sysctls");
}

FALLIBLE pod_sysctls_check_entry(struct json_object *entry, struct err *err)
{
    struct json_object *list;

    if (!json_object_object_get_ex(entry, "sysctls", NULL))
        return true;
    if (!json_get(entry, "sysctls", json_type_object, &list, err))
        return false;
    if (json_object_object_length(list) > SYSCTLS_MAX)
        return fail_with(err, ERR_LIMIT, "sysctls: over %d entries", SYSCTLS_MAX);
    json_object_object_foreach(list, name, value) {
        if (!json_object_is_type(value, json_type_string))
            return fail_with(err, ERR_MALFORMED, "sysctls: the value of %.80s is not a string", name);
        if (!sysctl_check(&(struct sysctl){ name, json_object_get_string(value) }, err))
            return context(err, "sysctls");
    }
    return true;
}

static const char *value_of(const struct pod_sysctls *of, const char *name)
{
    for (size_t i = 0; i < of->n; i++)
        if (strcmp(of->rows[i].name, name) == 0)
            return of->rows[i].value;
    return NULL;
}

FALLIBLE pod_sysctls_check(const struct pod_sysctls *asked, struct err *err)
{
    struct pod_sysctls seen = { .n = 0 };

    for (size_t i = 0; i < asked->n; i++) {
        if (!sysctl_check(&asked->rows[i], err))
            return false;
        if (value_of(&seen, asked->rows[i].name))
            return fail_with(err, ERR_MALFORMED, "sysctl %.80s comes twice", asked->rows[i].name);
        seen.rows[seen.n++] = asked->rows[i];
    }
    return true;
}

const char *pod_sysctls_difference(struct json_object *entry, const struct pod_sysctls *asked)
{
    for (size_t i = 0; i < asked->n; i++) {
        const char *wanted = json_object_get_string(json_object_object_get(list_of(entry), asked->rows[i].name));

        if (wanted ? strcmp(wanted, asked->rows[i].value) != 0 : !sysctl_is_usual(&asked->rows[i]))
            return asked->rows[i].name;
    }
    return NULL;
}

void pod_sysctls_join(struct json_object *granted, const struct pod_sysctls *asked, struct pod_sysctls *out)
{
    out->n = 0;
    if (granted) {
        json_object_object_foreach(granted, name, value)
            out->rows[out->n++] = (struct sysctl){ name, json_object_get_string(value) };
    }
    for (size_t i = 0; asked && i < asked->n && i < SYSCTLS_MAX; i++)
        if (!value_of(out, asked->rows[i].name))
            out->rows[out->n++] = asked->rows[i];
}

static FALLIBLE write_one(int root, const struct sysctl *sysctl, struct err *err)
{
    char         path[SYSCTL_NAME_MAX + 1];
    AUTO(fd) int fd = NO_FD;

    sysctl_path(sysctl->name, path);
    fd = openat(root, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return fail_with(err, ERR_NOT_FOUND, "sysctl %s: the guest's kernel has none of that name", sysctl->name);
    if (fd < 0 || write(fd, sysctl->value, strlen(sysctl->value)) < 0)
        return err_os(err, "sysctl %s", sysctl->name);
    return true;
}

FALLIBLE pod_sysctls_write(const struct pod_sysctls *all, const char *root, struct err *err)
{
    AUTO(fd) int at = NO_FD;

    for (size_t i = 0; i < all->n; i++) {
        if (!sysctl_is_of_network(&all->rows[i]))
            continue;
        if (at < 0 && (at = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
            return err_os(err, "sysctls");
        if (!write_one(at, &all->rows[i], err))
            return false;
    }
    return true;
}

void pod_sysctls_add(const struct pod_sysctls *all, struct json_object *to)
{
    struct json_object *list = json_object_new_object();

    for (size_t i = 0; all && i < all->n; i++)
        if (!sysctl_is_of_network(&all->rows[i]))
            json_add_text(list, all->rows[i].name, all->rows[i].value);
    if (json_object_object_length(list) > 0)
        json_add(to, "sysctl", list);
    else
        json_object_put(list);
}
