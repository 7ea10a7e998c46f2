#include "runtime/cli/pod_claim.h"

#include <stdio.h>
#include <string.h>

#include "guest/api/volume_limits.h"
#include "keys/api/rcar.h"

enum { NAME_MAX_LEN = 64, URI_MAX = 512 };

/* Without the slashes at its end, of which manifests may have some. */
static void path_of(const yaml_node_t *node, struct buffer *out)
{
    buffer_append_text(out, yaml_text(node) ? yaml_text(node) : "");
    while (out->len > 1 && out->at[out->len - 1] == '/')
        out->len--;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static const char *annotation_of(const struct pod_reading *r, const char *name)
{
    char key[sizeof CLAIM_ANNOTATION + NAME_MAX_LEN];

    (void) snprintf(key, sizeof key, CLAIM_ANNOTATION "%.*s", NAME_MAX_LEN, name); /* a longer one is no volume's name */
    return yaml_text(yaml_member(r, r->annotations, key));
}

/* The claim of a volume of the pod; NULL when it is another kind. */
static const yaml_node_t *claim_of(const struct pod_reading *r, const yaml_node_t *use)
{
    const char *name = yaml_text(yaml_member(r, use, "name"));

    for (size_t i = 0; name && i < yaml_count(r->volumes); i++) {
        const yaml_node_t *volume = yaml_item(r, r->volumes, i);
        const char        *its    = yaml_text(yaml_member(r, volume, "name"));

        if (its && strcmp(its, name) == 0)
            return yaml_member(r, volume, "persistentVolumeClaim");
    }
    return NULL;
}

bool pod_claim_is(const struct pod_reading *r, const yaml_node_t *mount)
{
    AUTO(buffer) struct buffer path = { 0 };

    path_of(yaml_member(r, mount, "mountPath"), &path);
    return claim_of(r, mount) && annotation_of(r, last_part(buffer_text(&path))) != NULL;
}

static FALLIBLE check_name(const char *name, struct err *err)
{
    size_t len = strlen(name);

    return (len > 0 && len <= VOLUME_DISK_NAME_MAX && *name != '-' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len) ||
           fail_with(err, ERR_MALFORMED, "volume %.60s: the last part of its path is its name: at most %d of a-z, 0-9 and, not first, -", name,
                     VOLUME_DISK_NAME_MAX);
}

/* What the annotation says, or its absence. */
static FALLIBLE key_of(const char *said, const char *name, char uri[static URI_MAX], bool *format, struct err *err)
{
    size_t      len = said ? strlen(said) : 0;
    const char *of_broker;

    *format = len >= 4 && strcmp(said + len - 4, ":new") == 0;
    len -= *format ? 4 : 0;
    if (len >= URI_MAX)
        return fail_with(err, ERR_LIMIT, "volume %s: a key's name of %zu bytes", name, len);
    if (len == 0)
        (void) snprintf(uri, URI_MAX, "kbs:///default/volume/%s", name); /* fits */
    else
        (void) snprintf(uri, URI_MAX, "%.*s", (int) len, said); /* fits */
    return rcar_path_of_uri(uri, &of_broker, err) || contextf(err, CLAIM_ANNOTATION "%s", name);
}

static bool says_read_only(const struct pod_reading *r, const yaml_node_t *of)
{
    const char *text = yaml_text(yaml_member(r, of, "readOnly"));

    return text && strcmp(text, "true") == 0;
}

static FALLIBLE add(const struct pod_reading *r, const yaml_node_t *use, const char *path, struct json_object *rows, struct err *err)
{
    const char *name = last_part(path);
    char        uri[URI_MAX];
    bool        format, read_only = says_read_only(r, use) || says_read_only(r, claim_of(r, use));

    if (*path != '/' || strncmp(path, "/dev/", 5) == 0)
        return fail_with(err, ERR_UNSUPPORTED, "volume at %.80s: its path is the directory in which its files are wanted, not in /dev", path);
    if (!check_name(name, err) || !key_of(annotation_of(r, name), name, uri, &format, err))
        return false;
    if (format && read_only)
        return fail_with(err, ERR_MALFORMED, "volume %s: what is read-only cannot be formatted", name);
    struct json_object *row = json_object_new_object();
    if (json_object_array_add(rows, row) != 0)
        abort();
    json_add_text(row, "path", path);
    json_add_text(row, "volume", name);
    json_add_text(row, "key", uri);
    if (format || read_only)
        json_add(row, format ? "format" : "read_only", json_object_new_boolean(true));
    return true;
}

static FALLIBLE add_all(const struct pod_reading *r, const yaml_node_t *list, const char *member, bool all, struct json_object *rows,
                        struct err *err)
{
    for (size_t i = 0; i < yaml_count(list); i++) {
        const yaml_node_t         *use  = yaml_item(r, list, i);
        AUTO(buffer) struct buffer path = { 0 };

        path_of(yaml_member(r, use, member), &path);
        if ((all || pod_claim_is(r, use)) && !add(r, use, buffer_text(&path), rows, err))
            return false;
    }
    return true;
}

FALLIBLE pod_claims_add(const struct pod_reading *r, const yaml_node_t *container, struct json_object *entry, struct err *err)
{
    struct json_object *rows = json_object_new_array();

    json_add(entry, "volumes", rows);
    if (!add_all(r, yaml_member(r, container, "volumeDevices"), "devicePath", true, rows, err) ||
        !add_all(r, yaml_member(r, container, "volumeMounts"), "mountPath", false, rows, err))
        return false;
    if (json_object_array_length(rows) == 0)
        json_object_object_del(entry, "volumes");
    return true;
}
